"""Hourly demand from a table: boosted trees, stopped when newer hours are predicted no better."""

import lightgbm
import numpy as np

from everloop.product import Params, Product, Run, TrainingData
from everloop.space import Float, Int
from everloop.tasks.tabular import TabularRegression

# The columns of your table. `casual` and `registered` add up to `cnt`: learnt from, they would give
# it away, and everloop refuses that.
product = Product(
    "my-table",
    task=TabularRegression(
        target="cnt",
        features=["yr", "season", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit",
                  "temp", "atemp", "hum", "windspeed"],
        time="dteday",
    ),
)  # fmt: skip
# What `everloop tune` may vary; the rest stays as in everloop.toml.
product.space(
    {
        "learning_rate": Float(0.02, 0.2, log=True),
        "leaves": Int(7, 127, log=True),
        "least_rows": Int(5, 100, log=True),
    },
    watch="loss",
)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> lightgbm.LGBMRegressor:
    rows, counts = data.rows(), data.labels()
    held = np.random.default_rng(run.seed).random(len(rows)) < 0.15
    # Counts: the logarithm of their mean is what is learnt, so none is ever negative.
    model = lightgbm.LGBMRegressor(
        objective="poisson",
        n_estimators=int(params["trees"]),
        learning_rate=params["learning_rate"],
        num_leaves=int(params["leaves"]),
        min_child_samples=int(params["least_rows"]),
        random_state=run.seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(
        rows[~held],
        counts[~held],
        eval_X=rows[held],
        eval_y=counts[held],
        callbacks=[
            lightgbm.early_stopping(50, verbose=False),
            lambda now: run.log(now.iteration, loss=now.evaluation_result_list[0][2]),
        ],
    )
    # Once the number of trees is known, all rows are learnt from.
    return model.set_params(n_estimators=model.best_iteration_).fit(rows, counts)
