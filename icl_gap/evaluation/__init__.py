"""Evaluation of a sweep, from its file to its records.

    config        the sweep file                                     SweepSpec
    inputs        its benchmarks loaded, its models identified       SweepBenchmark, SweepModel
    grid          every combination of them is a cell with a key     Cell
    requests      exemplars drawn, prompts written and measured      RequestBuilder → Request
    shards        cells in parts of about equal cost                 SweepShard
    planning      all of the above                                   plan_sweep → Plan
    estimates     the plan in numbers: tokens, operations, memory    compute_costs, memory_needs
    jobs          the cells of a model on a benchmark, their files   Job
    run_requests  requests to a model, responses scored              run_requests → Record
    repeated      requests run more than once, and their file        RepeatedRequest
    precision     some requests again in float32                     check_precision
    repeats       some requests asked several times                  check_repeats
    spending      what models cost, over all runs                    Ledger
    price_estimates  what they will cost, as estimated               estimate_prices
    provenance    versions and machine, beside the records           collect_provenance
    background    a thread for what a model need not wait for        in_background
    runner        plan, load, run, store                             evaluate_sweep → Results
    executors     jobs on a cluster                                  ray_cluster.run_jobs
    texts         the examples behind the ids of records             read_texts → SweepTexts

`evaluate_sweep` in short, for each job of a plan:

    requests = [request for cell in job.cells.values() for request in plan.requests(cell)]
    wanted = job.begin(model.info, provenance)           # ids without a record
    for id_, record in run_requests(requests, wanted, model, job.cells, plan.sweep):
        job.store(id_, record)

Responses are scored and stored in a thread of their own, in the order in which they come, so that
the model goes on meanwhile. However a run ends, short of a kill, it stores all that came.

A request is identified by (cell key, query id) all the way from the builder through
`Model.respond` to its record.
"""
