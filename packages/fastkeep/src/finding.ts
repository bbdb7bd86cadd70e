/** One line of what `check` says. */
export interface Finding {
  readonly check: string
  /** Whether a start would succeed. */
  readonly isGood: boolean
  /** It would, and something is to be done. */
  readonly isWarning?: boolean
  readonly message: string
  readonly exitCode: number
}
