/*
 * A session as text is two lines of JSON: an array of what is known of it, and the object of its data.
 * JSON.stringify writes no line breaks, so that the data can be handed on without being parsed.
 */

export type Fact = string | number | null | undefined

export interface SessionText {
  readonly facts: readonly unknown[]
  /** JSON text of an object. */
  readonly data: string
}

export function toText (facts: readonly Fact[], data: string): string {
  // Most are numbers: JSON.stringify of the whole takes four times as long.
  let line = ''
  for (const fact of facts) line += `${line === '' ? '[' : ','}${typeof fact === 'string' ? JSON.stringify(fact) : String(fact ?? null)}`
  return `${line}]\n${data}`
}

/** What `toText` wrote, or `undefined` for a text whose first line is no array. The data is not looked at. */
export function fromText (text: string): SessionText | undefined {
  const end = text.indexOf('\n')
  if (end === -1) return undefined
  const facts = parsed(text.slice(0, end))
  return Array.isArray(facts) ? { facts, data: text.slice(end + 1) } : undefined
}

/** The object of which a text is the JSON; `undefined` for any other text. */
export function objectFrom (text: string): Record<string, unknown> | undefined {
  const value = parsed(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
}

export function isTime (value: unknown): value is number {
  return Number.isSafeInteger(value)
}

export function isTextOrNull (value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

export function isNumberOrNull (value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isFinite(value))
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
