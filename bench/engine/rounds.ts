interface Variants<Result> {
  readonly ours: () => Result | Promise<Result>
  readonly peer: () => Result | Promise<Result>
}

/**
 * Runs both variants in each round, in turns which of them is first, so that a machine that grows slower or busier
 * does not favour one. A first round warms up and does not count.
 */
export async function interleave<Result> (rounds: number, variants: Variants<Result>): Promise<{ ours: Result[], peer: Result[] }> {
  const results: { ours: Result[], peer: Result[] } = { ours: [], peer: [] }
  for (let round = 0; round <= rounds; round++) {
    for (const name of round % 2 === 0 ? ['ours', 'peer'] as const : ['peer', 'ours'] as const) {
      const result = await variants[name]()
      if (round > 0) results[name].push(result)
    }
  }
  return results
}
