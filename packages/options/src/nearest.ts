/**
 * The candidate that a misspelt word most likely meant, or `undefined` when none is near:
 * letters may have changed places, or at most a third of them (two at least) may differ, whatever their case.
 *
 * @example nearest('cookeName', ['cookieName', 'keys']) // 'cookieName'
 */
export function nearest (word: string, candidates: readonly string[]): string | undefined {
  const meant = word.toLowerCase()
  const swapped = candidates.find(candidate => sorted(candidate.toLowerCase()) === sorted(meant))
  if (swapped !== undefined) return swapped
  const allowed = Math.max(2, Math.floor(word.length / 3))
  const near = candidates
    // Nothing further away can be near: no work on a word of any length.
    .filter(candidate => Math.abs(candidate.length - word.length) <= allowed)
    .map(candidate => ({ candidate, differences: distance(meant, candidate.toLowerCase()) }))
    .filter(({ differences }) => differences <= allowed)
  return near.toSorted((a, b) => a.differences - b.differences)[0]?.candidate
}

function sorted (word: string): string {
  return [...word].sort().join('')
}

/**
 * How many letters must be inserted, removed or replaced to make one word of the other.
 *
 * @see https://en.wikipedia.org/wiki/Levenshtein_distance#Iterative_with_two_matrix_rows
 */
function distance (one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (const [line, letter] of one.split('').entries()) {
    const next = [line + 1]
    for (const [column, another] of other.split('').entries()) {
      const replaced = (row[column] as number) + (letter === another ? 0 : 1)
      next.push(Math.min(replaced, (row[column + 1] as number) + 1, (next[column] as number) + 1))
    }
    row = next
  }
  return row[other.length] as number
}
