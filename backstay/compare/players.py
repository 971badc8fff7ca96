"""Plays the loop in processes that may be killed: `python -m backstay.compare.players`, one process for each line read.

A line is a job as JSON. Its process plays all of the job's runs side by side, each in a thread with a loop of its own,
and appends each end to the job's file. Then a line with the process's exit code is printed, below 0 for a signal.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from openai import OpenAI, OpenAIError

from .loop import autogpt
from .shop import Shop


class Job(TypedDict):
    """Describes the runs of one process.

    Attributes:
        goals: the goal of each run, by its name.
        model: the model's name.
        books: the file of the shop's books.
        ends: the file to which an end is appended, as a line of JSON with `run` and `answer` or `error`.
    """

    goals: dict[str, str]
    model: str
    books: str
    ends: str


def play(job: Job) -> None:
    """Plays all runs of a job to their ends, side by side."""
    client = OpenAI()

    def one(run: str, goal: str) -> None:
        try:
            end = {"run": run, "answer": autogpt(goal, Shop(Path(job["books"]), run).tools(), client, job["model"])}
        except OpenAIError as error:
            end = {"run": run, "error": type(error).__name__}
        line = json.dumps(end) + "\n"
        with Path(job["ends"]).open("a") as ends:
            ends.write(line)

    with ThreadPoolExecutor(max_workers=len(job["goals"])) as pool:
        for played in [pool.submit(one, run, goal) for run, goal in job["goals"].items()]:
            played.result()


def main() -> None:
    """Forks a process for each job, so that the model's client is loaded once."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            play(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
