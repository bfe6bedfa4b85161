"""The timeline of a build, as its events make it."""

from __future__ import annotations

from typing import Any

from builder.journal import Event
from launcher.web.builds import Story


def told(*steps: dict[str, Any]) -> list[tuple[str, float, float | None, bool]]:
    story = Story()
    for number, step in enumerate(steps):
        whole = {"started": None, "completed": None, "cached": False, "error": "", **step}
        list(story.tell(Event(number, "step", whole)))
    return [(bar.words, bar.began, bar.ended, bar.cached) for bar in story.bars()]


def test_stage_begins_with_its_first_step_and_not_with_the_image_that_it_stands_on() -> None:
    assert told(
        {"stage": "installing", "name": "[environment 1/2] FROM parent", "started": 1.0, "completed": 1.1},
        {"stage": "installing", "name": "[environment 2/2] RUN group", "started": 7.0, "completed": 9.0},
        {"stage": "deciding", "name": "[lock 1/1] RUN lock", "started": 2.0, "completed": 6.0, "cached": True},
    ) == [("deciding", 2.0, 6.0, True), ("installing", 7.0, 9.0, False)]


def test_stage_none_of_whose_steps_has_begun_is_not_there_and_one_that_only_fetches_an_image_is() -> None:
    assert told(
        {"stage": "installing", "name": "[environment 1/2] FROM parent", "started": 1.0, "completed": 1.1},
        {"stage": "installing", "name": "[environment 2/2] RUN group"},
        {"stage": "base", "name": "[python 1/1] FROM python", "started": 1.0},
    ) == [("base", 1.0, None, False)]
