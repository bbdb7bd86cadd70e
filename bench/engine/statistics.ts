export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spread (samples: readonly number[]): Spread {
  return { median: median(samples), min: Math.min(...samples), max: Math.max(...samples) }
}

export function median (samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Of each round by itself, so that what slows a whole round down cancels out. */
export function paired (samples: readonly number[], peer: readonly number[], combine: (sample: number, peer: number) => number): number[] {
  return samples.map((sample, round) => combine(sample, peer[round] ?? Number.NaN))
}
