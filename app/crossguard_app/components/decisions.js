// What a reviewer answers to the open issue, and to the frame as a whole.

export class Decisions {
  constructor(bench) {
    this.bench = bench;
    this.grouped = true; // one answer for the whole group of an issue
  }

  say(text) {
    this.bench.toolbar.say(text);
  }

  // The verdict on an issue that stands: of this page, or of the server.
  on(issueId) {
    const own = this.bench.session.done.findLast(({ operation }) => operation.closes === issueId);
    if (own) return own.operation.text;
    const item = this.bench.items.find((entry) => entry.issue?.id === issueId);
    return item?.issue.state === "decided" || item?.issue.state === "obsolete" ? item.issue.verdict : null;
  }

  // A verdict on the open issue; with its group when that is switched on. Whether it was given.
  give(kind, text, fields = {}, { group = true } = {}) {
    const { bench } = this;
    const { issue } = bench;
    if (bench.data.readonly || !issue || this.on(issue.id) || bench.conflicts.holds(issue.annotation_id)) return false;
    const together = group && this.grouped && issue.group_id && issue.group_size > 1;
    bench.push({ kind, issue_id: issue.id, closes: issue.id, target: issue.annotation_id,
      ...(together ? { group: true, group_id: issue.group_id } : {}), ...fields }, text);
    this.say(`${text[0].toUpperCase()}${text.slice(1)}${together ? `, all ${issue.group_size}` : ""}. `
      + `${bench.bindings.hint("undo")} takes it back${["edit", "add"].includes(kind)
        ? `, ${bench.bindings.hint("submit")} goes on` : ""}.`);
    return true;
  }

  apply() {
    const { issue } = this.bench;
    if (!issue || this.on(issue.id)) return;
    if (issue.proposal.kind === "none") {
      this.say("There is no proposal here: keep, edit or delete.");
      return;
    }
    if (this.give("apply", "proposal applied", { proposal: issue.proposal })) this.bench.advance();
  }

  keep() {
    const { bench } = this;
    if (this.give("keep", "kept as it is")) bench.advance();
    else if (bench.data.readonly && bench.data.mode === "queue") bench.lookOnly();
    else if (bench.data.mode !== "queue") {
      if (bench.frame && !bench.frame.seen && !bench.data.readonly) bench.push({ kind: "seen" }, `${bench.frame.name} looked at`);
      bench.step(1);
    }
  }

  skip() {
    if (this.give("skip", "skipped")) this.bench.advance();
  }

  // What was drawn or dragged is stored already; this only goes on, or says that nothing was changed.
  submit() {
    const { bench } = this;
    if (bench.tools.tool !== "select" && bench.tools.finish()) return;
    if (bench.data.mode !== "queue") bench.step(1);
    else if (!bench.issue || this.on(bench.issue.id)) bench.advance();
    else this.say("Nothing was changed yet: drag or draw, or keep with Space.");
  }

  exclude() {
    const { bench } = this;
    const { issue, frame } = bench;
    if (!frame || frame.excluded) return;
    if (this.give("exclude_frame", "frame excluded", {}, { group: false })) bench.advance();
    else bench.push({ kind: "exclude_frame" }, issue ? "frame excluded" : `${frame.name} excluded`);
  }
}
