import { closest, distance } from 'fastest-levenshtein'

/**
 * The candidate that a misspelt word most likely meant, or `undefined` when none is near:
 * letters may have changed places, or at most a third of them (two at least) may differ, whatever their case.
 *
 * @example nearest('cookeName', ['cookieName', 'keys']) // 'cookieName'
 */
export function nearest (word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined
  const byLowerCase = new Map(candidates.map(candidate => [candidate.toLowerCase(), candidate]))
  const withSwappedLetters = [...byLowerCase.keys()].find(candidate => sorted(candidate) === sorted(word.toLowerCase()))
  if (withSwappedLetters !== undefined) return byLowerCase.get(withSwappedLetters)
  const best = closest(word.toLowerCase(), [...byLowerCase.keys()])
  const allowed = Math.max(2, Math.floor(word.length / 3))
  return distance(word.toLowerCase(), best) <= allowed ? byLowerCase.get(best) : undefined
}

function sorted (word: string): string {
  return [...word].sort().join('')
}
