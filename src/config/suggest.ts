/** The candidate that was probably meant, or nothing when none is near. */
export function nearest(word: string, candidates: Iterable<string>, most = 4): string | undefined {
  const plain = word.toLowerCase();
  const limit = Math.max(1, Math.min(most, Math.floor(word.length / 3)));
  let best: string | undefined;
  let bestDistance = limit + 1;
  let looked = 0;
  for (const candidate of candidates) {
    // A thousand devices are many names; the answer must not take seconds.
    if (++looked > 5_000) break;
    if (candidate === word || Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(plain, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `did you mean "x"?`, as an object to spread into a finding. */
export function didYouMean(word: string, candidates: Iterable<string>): { hint?: string } {
  const best = nearest(word, candidates);
  return best === undefined ? {} : { hint: `did you mean ${JSON.stringify(best)}?` };
}

/** Insertions, deletions, exchanges and swaps of neighbours; stops counting at the limit. */
function editDistance(a: string, b: string, limit: number): number {
  if (a.length > 128 || b.length > 128) return limit;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let smallest = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
      if (cost < smallest) smallest = cost;
    }
    if (smallest > limit) return limit;
    before = last;
    last = row;
  }
  return last[b.length] ?? limit;
}
