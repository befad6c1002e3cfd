// "Did you mean ...?" for names that people type: settings, commands, flags.

/** The candidate nearest to `word` when it is near enough to be a slip of the finger; undefined otherwise. */
export function suggestName(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Two slips in a short word, one more for every four letters beyond eight.
  let bestDistance = 3 + Math.floor(Math.max(0, word.length - 8) / 4);
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance < candidate.length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` Did you mean X?` or nothing, to be appended to a sentence. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const name = suggestName(word, candidates);
  return name === undefined ? '' : ` Did you mean ${name}?`;
}

/** Levenshtein distance, one row at a time. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
