import type { ConfigTable } from './options.js'
import type { ConfigSource, EffectiveOption } from './resolve.js'

/** One line of {@link describeConfig}, safe to be logged and sent. */
export interface DescribedOption {
  /** e.g. `drain.deadline` */
  readonly option: string
  /** JSON; `<redacted>` in the place of a secret, `<function>` of a function. */
  readonly value: unknown
  readonly source: ConfigSource
  /** The variable, the flag, the file; `code` and `default` stand for themselves. */
  readonly origin: string
}

/**
 * The options that are in force, each with its source, secrets redacted.
 *
 * @example describeConfig(effective)[0] // { option: 'port', value: 80, source: 'environment', origin: 'FASTKEEP_PORT' }
 */
export function describeConfig (effective: readonly EffectiveOption[]): DescribedOption[] {
  return effective.map(({ path, value, source, origin, isSecret }) => ({ option: path, value: isSecret ? '<redacted>' : visible(value), source, origin }))
}

/**
 * The same as a text of aligned columns, one line an option, values as the environment takes them.
 *
 * @param table the table of the options, for the form of their text
 * @example
 * // option          value      source
 * // port            80         environment (FASTKEEP_PORT)
 * // drain.deadline  25000      default
 */
export function formatConfig (described: readonly DescribedOption[], table: ConfigTable): string {
  const rows = described.map(({ option, value, source, origin }) => [option, textOf(option, value, table), origin === source ? source : `${source} (${printable(origin)})`])
  const all = [['option', 'value', 'source'], ...rows]
  const widths = [0, 1].map(column => Math.max(...all.map(row => row[column]?.length ?? 0)))
  return all.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

function visible (value: unknown): unknown {
  return typeof value === 'function' ? '<function>' : value
}

function textOf (option: string, value: unknown, table: ConfigTable): string {
  const format = typeof value === 'string' ? String : table[option]?.text?.format ?? String
  return printable(format(value))
}

/** A line break or a control character would forge lines of the table. */
function printable (text: string): string {
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?') : text
}
