"""Titles of papers, by their arXiv number; cards and the zoo name papers by authors and year."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "1506.04834": "Tree-structured composition in neural networks without tree-structured "
        "architectures",
        "1711.00350": "Generalization without Systematicity: On the Compositional Skills of "
        "Sequence-to-Sequence Recurrent Networks",
        "1804.06028": "ListOps: A Diagnostic Dataset for Latent Tree Learning",
        "1807.07545": "Rearranging the Familiar: Testing Compositional Generalization in "
        "Recurrent Networks",
        "1910.13466": "Ordered Memory",
        "1912.09713": "Measuring Compositional Generalization: A Comprehensive Method on "
        "Realistic Data",
        "2010.05465": "COGS: A Compositional Generalization Challenge Based on Semantic "
        "Interpretation",
        "2010.12725": "Compositional Generalization and Natural Language Variation: Can a "
        "Semantic Parsing Approach Handle Both?",
        "2107.03374": "Evaluating Large Language Models Trained on Code",
        "2110.14168": "Training Verifiers to Solve Math Word Problems",
        "2112.07610": "Improving Compositional Generalization with Latent Structure and Data "
        "Augmentation",
        "2203.13474": "CodeGen: An Open Large Language Model for Code with Multi-Turn Program "
        "Synthesis",
        "2205.01068": "OPT: Open Pre-trained Transformer Language Models",
        "2211.05100": "BLOOM: A 176B-Parameter Open-Access Multilingual Language Model",
        "2211.08473": "On the Compositional Generalization Gap of In-Context Learning",
        "2212.06800": "Diverse Demonstrations Improve In-context Compositional Generalization",
        "2304.01373": "Pythia: A Suite for Analyzing Large Language Models Across Training and "
        "Scaling",
        "2407.21783": "The Llama 3 Herd of Models",
        "2409.12186": "Qwen2.5-Coder Technical Report",
        "2410.01748": "Not All LLM Reasoners Are Created Equal",
        "2412.15115": "Qwen2.5 Technical Report",
        "2501.00656": "2 OLMo 2 Furious",
        "2502.02737": "SmolLM2: When Smol Goes Big -- Data-Centric Training of a Small Language "
        "Model",
        "2503.09543": "PolyPythias: Stability and Outliers across Fifty Language Model "
        "Pre-Training Runs",
        "2503.19786": "Gemma 3 Technical Report",
        "2505.09388": "Qwen3 Technical Report",
        "2508.10925": "gpt-oss-120b & gpt-oss-20b Model Card",
        "2512.13961": "Olmo 3",
    }
)
