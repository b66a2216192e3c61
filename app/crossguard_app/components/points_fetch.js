// Fetches the points of a map and tells meanwhile how much of them is here and how long the rest may take.

const QUIET = 300; // milliseconds before the first word of time: of less there is no pace to be had

// What lies at an address, as an ArrayBuffer. `tell` hears how far it is, in words.
export async function fetchBytes(url, tell) {
  tell("asked for");
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(await answer.text());
  const total = Number(answer.headers.get("content-length"));
  if (!total || !answer.body || answer.headers.get("content-encoding")) return answer.arrayBuffer();
  const began = performance.now();
  const bytes = new Uint8Array(total);
  const reader = answer.body.getReader();
  let here = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (here + value.length > total) throw new Error("more came than was announced");
    bytes.set(value, here);
    here += value.length;
    const spent = performance.now() - began;
    tell(progressText(here / total, spent < QUIET ? NaN : (spent / 1000) * (total / here - 1)));
  }
  if (here < total) throw new Error("the connection ended too early");
  return bytes.buffer;
}

// "38 %, about 4 s left": the share that is here (0 to 1) and the seconds left, NaN while nobody can know.
function progressText(share, seconds) {
  const percent = `${Math.floor(100 * share)} %`;
  if (!Number.isFinite(seconds) || share >= 1) return percent;
  const left = seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
  return `${percent}, about ${left} left`;
}
