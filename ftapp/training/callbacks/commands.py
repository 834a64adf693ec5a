"""Commands to the run, carried out between steps: the learning rate, frozen layers, saved models."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from ftapp.common.full_disk import reserve
from ftapp.common.safe_files import explain_error
from ftapp.models import saved_model
from ftapp.recipe import Phase
from ftapp.recipe.layer_rules import Selections
from ftapp.recipe.rule_problems import find_unmatched
from ftapp.runs.commands import AnyCommand, Checkpoint, Freeze, Rate, Unfreeze
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog, ProgressLog
from ftapp.runs.events import Checkpointed
from ftapp.runs.replay import ReplayedCommand
from ftapp.runs.run_folder import RunFolder
from ftapp.training.batch import StepResult
from ftapp.training.build_model import find_problems
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.early_stop import EarlyStop
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.segments import plan_segment
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Setup
from ftapp.training.state import TrainState

# A commanded learning rate is at most so many times the phase's own, and at most so high.
_MOST_TIMES, _MOST = 100, 10.0


class Commands(Callback):
    """Carries out what was sent to the run, between steps and while the run prepares or evaluates."""

    def __init__(
        self,
        run: RunFolder,
        setup: Setup,
        log: EventLog,
        control: Control,
        steps: StepLog,
        early: EarlyStop,
        replayed: Sequence[ReplayedCommand],
    ) -> None:
        """Carry out the commands to a run.

        Args:
            run: The run.
            setup: What it works on.
            log: The event log.
            control: Gives what was sent to the run.
            steps: The log of steps, written up to date before commands.
            early: Says whether the phase ends with the present step.
            replayed: Commands that are carried out at given steps.
        """
        self._run, self._setup, self._log, self._control, self._steps = run, setup, log, control, steps
        self._early, self._replayed = early, deque(replayed)
        self._progress = ProgressLog(log)
        self._is_open = False
        self._session: PhaseSession
        self._state: TrainState

    def wait_for_session(self) -> None:
        """Leave commands for later until the next segment begins: its session is being opened."""
        self._is_open = False

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Apply commands to this segment from now on."""
        self._session, self._state, self._is_open = session, state, True

    def on_train_begin(self, state: TrainState) -> None:
        """Process what came before the first step."""
        self._process()

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Process what came meanwhile, unless the run ends with this step."""
        if not self._control.should_stop():
            self._process()

    def report(self, activity: str, done: int, total: int) -> bool:
        """Write progress and process commands.

        Returns:
            Whether the run goes on.
        """
        self._progress(activity, done, total)
        return self._process() if self._is_open else not self._control.should_stop()

    def _process(self) -> bool:
        """Have the commands that have come carried out. Returns whether the run goes on."""
        place = self._state.position.phase, self._state.position.run_step
        while self._replayed and (self._replayed[0].phase_index, self._replayed[0].step) <= place:
            self._control.take(self._replayed.popleft().command)
        if self._control.has_work():
            self._steps.flush()
        return self._control.process_commands(self._apply)

    def _apply(self, command: AnyCommand) -> str | None:
        """Carry out a command. Returns the reason why not, None where it was carried out."""
        phase = self._session.phase
        if isinstance(command, Checkpoint):
            return self._save_checkpoint()
        if self._state.position.step == self._session.steps or self._early.is_over(self._state):
            return f"phase '{phase.name}' has no step left"
        match command:
            case Rate():
                if refusal := check_rate(command.base, phase):
                    return refusal
                self._state.rate_factor = command.base / phase.base_rate
            case Freeze() | Unfreeze():
                return self._change_layers(command)
        return None

    def _change_layers(self, command: Freeze | Unfreeze) -> str | None:
        """Have layers freeze or thaw before the next step. Returns the reason why not."""
        setup, state, index = self._setup, self._state, self._session.index
        if key := self._session.phase.averaged_by:
            return f"the phase averages its weights ({key}), so its layers stay as they are: averages would begin anew"
        now = plan_segment(setup, index, state.commanded_rules)
        if unmatched := find_unmatched([Selections(command.layers)], now.descriptions):
            return unmatched[0]
        plan = plan_segment(setup, index, [*state.commanded_rules, command.rule])
        if [each.treatment for each in plan.decisions] == [each.treatment for each in now.decisions]:
            return f"'{command.layers}' {'is frozen' if isinstance(command, Freeze) else 'trains'} already"
        if not plan.trainable_parameters:
            return "no layer would train then; a phase trains at least one layer"
        if problems := find_problems(self._session.phase, plan, setup.model):
            return problems[0][1]
        state.add_rule(str(command.rule))
        return None

    def _save_checkpoint(self) -> str | None:
        """Save the model. Returns the reason why not, None where it was saved."""
        session, step = self._session, self._state.weights_step
        folder = self._run.snapshot_folder(step)
        if folder.exists():
            return f"the model of step {step} is saved already"
        try:
            self._run.checkpoints_folder.mkdir(exist_ok=True)
            reserve(self._run.checkpoints_folder, saved_model.estimate_size(session.whole))
            with session.as_built(), session.averages.applied():
                marks = {"status": "running", "step": step}
                classes = session.splits.classes
                saved_model.save(folder, session.recipe, self._setup.pretrained, session.whole, classes, marks)
        except (OSError, MemoryError) as error:
            return f"{folder} cannot be written: {explain_error(error)}"
        place = str(folder.relative_to(self._run.folder))
        self._log.write(Checkpointed(time=time.time(), step=step, folder=place))
        return None


def check_rate(rate: float, phase: Phase) -> str | None:
    """Give the reason why a commanded base learning rate is refused in a phase; None when it is not."""
    most = min(_MOST_TIMES * phase.base_rate, max(_MOST, phase.base_rate))
    if rate <= most:
        return None
    return (
        f"a rate of {rate:g} is {rate / phase.base_rate:,.3g} times the phase's own, {phase.base_rate:g}; a run takes "
        f"at most {most:g}, since weights diverge at such rates"
    )
