import pytest
import torch
from transformers import AutoModelForCausalLM

from icl_gap.nano.fast_attention import attend, use_blockwise_attention
from icl_gap.nano.shapes import SHAPES, build_config


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 129, 200])
@pytest.mark.parametrize(("bfloat16", "near"), [(True, 0.05), (False, 1e-5)])
def test_blockwise_attention_is_causal_attention(length, bfloat16, near) -> None:
    torch.manual_seed(0)
    shape = (2, 4, length, 8)
    query, key, value = (torch.randn(shape, requires_grad=True) for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        ours, _ = attend(None, query, key, value, None)
    ours.float().square().sum().backward()
    found = [part.grad.clone() for part in (query, key, value)]
    for part in (query, key, value):
        part.grad = None
    right = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    right.square().sum().backward()
    torch.testing.assert_close(ours.float(), right.transpose(1, 2), atol=near, rtol=near)
    for ours_grad, part in zip(found, (query, key, value), strict=True):
        torch.testing.assert_close(ours_grad, part.grad, atol=3 * near, rtol=2 * near)


@pytest.mark.parametrize("family", ["codegen", "bloom", "opt"])
def test_a_model_computes_the_same_with_it(family) -> None:
    torch.manual_seed(0)
    config = build_config(family, SHAPES["s"], vocab_size=100, end=1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tokens = torch.randint(2, 100, (2, 150))
    plain = model(input_ids=tokens).logits
    use_blockwise_attention(model)
    ours = model(input_ids=tokens).logits
    assert not torch.equal(plain, ours), "it was not used"
    torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)
