"""Questions put to an optimizer, a probe or a fact, and the options with which they can be put."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from surefoot.check.contract.clause import Probed
from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.diagnose import AFTER_WHICH
from surefoot.check.contract.facts import NO_OPTIMIZER, UNREADY
from surefoot.check.contract.judge import Finding, judge
from surefoot.check.contract.settings import FLAGS, PATHS, VECTOR, alternatives, hypers, settings
from surefoot.check.contract.tools import NEEDS, OF_AN_OPTIMIZER
from surefoot.check.protocol import SAYS_SO, Answer, Died, Options, Patient, Raised
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED

__all__ = ["Questions"]

# what torch and the probes say where an optimizer is none of torch's
MISSING = re.compile(r"object has no attribute '(\w+)'|is not an Optimizer")
APART = ("lr", "dampening", *FLAGS)  # not part of the rich setting: they exclude others, or are flags


class Questions:
    """What can be asked of one patient, and what has been found out about it.

    Args:
        patient: who is asked.
    """

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.base: dict[str, Any] = {}  # what the constructor needs besides what the user gave
        self.aside = ""  # the exception that every step raises, and that is set aside
        self.facts: dict[str, str | Died | None] = {}
        self.usable: dict[tuple[Any, ...], bool] = {}

    @property
    def given(self) -> dict[str, Any]:
        """What every question is put with."""
        return {**self.patient.given, **self.base}

    @property
    def of_its_own(self) -> bool:
        """Whether it is of a class of its own, no torch.optim.Optimizer, or was never made one."""
        return self.fact("an optimizer") in (NO_OPTIMIZER, UNREADY)

    def observed(self, probe: str, case: Options, options: Options) -> Answer:
        """Have it asked; an exception that cannot even be described is one, too."""
        try:
            return self.patient.observe(probe, case, options)
        except Raised as error:
            kept = ("kind", "said", "line", "action")
            return {"raised": {name: getattr(error, name) for name in kept}}

    def fact(self, name: str) -> str | Died | None:
        """Return None if a fact holds, else the sentence why not."""
        if name not in self.facts:
            self.facts[name] = self.find(name)
        return self.facts[name]

    def find(self, name: str) -> str | Died | None:
        """Ask for a fact anew."""
        if name == "a step that returns":
            return f"every step() raises {self.aside}" if self.aside else None
        if name == "optional closure":
            return "its step() needs a closure" if self.patient.signature.needs_closure else None
        try:
            plain = name in ("constructs", "moves anyway", "an optimizer", "a closure")
            answer = self.observed(name, {}, {**self.base, **({} if plain else self.rich())})
        except (Died, MemoryError) as error:
            return error if isinstance(error, Died) else Died("It requested too much memory.")
        if "raised" in answer:
            if name != "an optimizer" and (why := self.lacking(answer["raised"])):
                return why
            return _told(answer["raised"])
        return answer["claims"]  # type: ignore[no-any-return]

    def lacking(self, raised: Mapping[str, str]) -> str:
        """Say what was asked for that a class of its own need not have; "" if nothing was."""
        found = MISSING.search(raised["said"])
        if raised["kind"] not in ("AttributeError", "TypeError") or not found or not self.of_its_own:
            return ""
        if raised["line"] and self.fact("an optimizer") != UNREADY:  # its own line, and its own fault
            return ""
        return f"{NEEDS}: it has no {found[1]}" if found[1] in OF_AN_OPTIMIZER else f"{NEEDS}: {found[0]}"

    def again(self, name: str, options: Options, **case: Any) -> str:
        """Say why a fact does not hold with other options; "" if it does, or cannot be told."""
        try:
            answer = self.observed(name, case, {**self.base, **options})
        except (Died, MemoryError):
            return ""
        return str(answer.get("claims") or "")

    def rich(self) -> dict[str, Any]:
        """Return a setting in which much is going on: all number options that go with each other."""
        chosen: dict[str, Any] = {}
        meant = hypers(self.patient.signature)
        for option, value in alternatives(self.patient.signature):
            tried = {**chosen, option: value}
            if meant[option] not in APART and option not in self.given and self.works(tried):
                chosen = tried
        return chosen

    def works(self, options: Options) -> bool:
        """Whether steps can be made with these options, and move w."""
        key = tuple(sorted((k, str(v)) for k, v in options.items()))
        if key not in self.usable:
            finding = self.ask(CLAUSES["steps"], {}, options)
            # NaN is a step, too: where it comes from unwritten memory, the other clauses say so
            self.usable[key] = finding.outcome == PASSED or finding.note.startswith(AFTER_WHICH)
        return self.usable[key]

    def set_aside(self, kind: str) -> None:
        """From now on ignore an exception that every step raises after its update."""
        self.aside = kind
        self.patient.tolerate(kind)
        self.usable.clear()

    def settings(self, clause: Probed) -> Iterator[dict[str, Any]]:
        """Yield the settings of a clause that the optimizer can be run with."""
        if clause.over in ("rich", "flags"):
            rich = self.rich()
            yield rich
            meant = hypers(self.patient.signature)
            flags = [(o, v) for o, v in alternatives(self.patient.signature) if meant[o] in FLAGS]
            yield from (
                {**rich, o: v} for o, v in flags if clause.over == "flags" and self.works({**rich, o: v})
            )
            return
        for options in settings(self.patient.signature, self.given, clause.over):
            if clause.id in ("steps", "no-warnings") or not options or self.works(options):
                yield options

    def cases(self, clause: Probed) -> Iterator[Mapping[str, Any]]:
        """Yield the cases of a clause: of two groups if it takes them.

        What the user gave is not varied, and a path given is the only one.
        """
        cases = clause.cases(self.patient.signature) if callable(clause.cases) else clause.cases
        chosen = {path for path in PATHS if self.given.get(path)}
        for case in cases:
            if case.get("groups") == 2 and self.fact("groups"):
                continue
            fast = {path for path, on in case.get("fast", {}).items() if on}
            varied = fast or ({case.get("option")} - {"lr"})
            if fast <= chosen if fast and chosen else not varied & set(self.given):
                yield case

    def ask(self, clause: Probed, case: Mapping[str, Any], options: Options) -> Finding:
        """Put one question, and judge the answer."""
        try:
            answer = self.observed(clause.id, case, {**self.base, **options})
        except (Died, MemoryError) as error:
            return Finding(FAILED, str(error) or "It requested too much memory.", died=True)
        if "raised" not in answer:
            incomparable = next(filter(None, map(self.fact, clause.comparing)), None)
            if incomparable:
                return Finding(NOT_APPLICABLE, str(incomparable))
            return judge(answer["claims"])
        raised = answer["raised"]
        if clause.id != "steps" and (why := self.lacking(raised)):
            return Finding(NOT_APPLICABLE, why)
        note = _told(raised)
        says_so = raised["kind"] in SAYS_SO
        refused = says_so and raised["action"] == "construction" and not clause.strict
        refused |= bool(clause.refusal) and clause.refusal in note.lower()
        refused |= clause.id == "steps" and says_so and "support" in note
        refused |= bool({raised["kind"], "Exception"} & set(clause.refuses))
        if refused:
            return Finding(NOT_APPLICABLE, f"it rejects this itself: {note}")
        if clause.each or case.get("shapes") == VECTOR:  # if vectors cannot be stepped, others tell
            return Finding(NOT_APPLICABLE, note)
        return Finding(FAILED, note, "no exception", note, raised["line"], raised=raised)


def _told(raised: Mapping[str, Any]) -> str:
    said = _brief(raised["said"])
    return f"{raised['kind']}: {said}" if said else str(raised["kind"])


def _brief(said: str) -> str:
    """What an exception says, on one line: torch writes pages, and the cause comes last."""
    return textwrap.shorten(said.rpartition("WeightsUnpickler error: ")[2], 300, placeholder=" …")
