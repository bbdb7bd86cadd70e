/** How much of a measure is run. */
export interface Scale {
  /** The longest form, for a release. */
  readonly isFull: boolean
}

export type Measure = (scale: Scale) => Promise<Figure[]>

/** One row of the table. */
export interface Figure {
  readonly what: string
  readonly unit: string
  /** One a round. */
  readonly samples: readonly number[]
  /** Measured in the same rounds, in turns. */
  readonly peer?: { readonly name: string, readonly samples: readonly number[] }
  /** Default: none; the figure explains another one. */
  readonly target?: Target
  readonly note?: string
}

export interface Target {
  /**
   * What is held against the bound: `median`; `every` sample; `ratio` or `difference` of the median to that of the peer.
   */
  readonly of: 'median' | 'every' | 'ratio' | 'difference'
  readonly atMost?: number
  readonly atLeast?: number
}
