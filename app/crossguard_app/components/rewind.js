// Undo and redo: the last step, wherever it was done, and back to the place where that was.

export class Rewind {
  constructor(bench) {
    this.bench = bench;
  }

  say(text) {
    this.bench.toolbar.say(text);
  }

  undo() {
    const { session, data } = this.bench;
    const step = session.undo();
    if (step) {
      this.revisit(step);
      this.say(`Undone: ${step.text}`);
    } else if (data.undoable) {
      session.undoEarlier();
      this.say(`Undone: ${data.undoable}`);
    } else this.say("There is nothing to undo.");
  }

  // The verdict on the issue that is shown, whoever decided it and when.
  undoVerdict() {
    const { issue, session } = this.bench;
    const newest = session.done.at(-1)?.operation;
    const own = session.done.some(({ operation }) => operation.closes === issue.id);
    if (newest?.closes === issue.id) this.undo();
    else if (own) this.say(`Undo your later decisions first (${this.bench.bindings.hint("undo")}).`);
    else if (issue.decision_id) session.undoEarlier(issue.decision_id);
  }

  redo() {
    const step = this.bench.session.redo();
    this.say(step ? `Done again: ${step.text}` : "There is nothing to redo.");
    if (!step) return;
    if (step.operation.closes) this.bench.advance();
    else this.revisit(step);
  }

  // Back to where something was done, with its label selected.
  revisit({ home, operation: { closes, annotation_id, target } }) {
    const { bench } = this;
    const before = bench.item;
    if (closes) bench.items.goTo((item) => item.issue?.id === closes);
    else if (home !== bench.frame?.id) bench.items.goTo((item) => item.frame_id === home);
    if (bench.item !== before || bench.shownFrame !== bench.frame?.id || bench.tools.tool !== "select") bench.open();
    const label = annotation_id ?? target;
    if (bench.label(label)) bench.selection = label;
    bench.handle = null;
    bench.refresh();
  }
}
