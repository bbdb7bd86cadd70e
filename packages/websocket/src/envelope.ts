import { parse } from 'secure-json-parse'

/** A message of PROTOCOL.md as it came. */
export interface Envelope {
  readonly type: string
  readonly id: EnvelopeId | undefined
  readonly data: unknown
}

export type EnvelopeId = string | number

/**
 * @throws Error for a text that is no envelope, or that reaches for a prototype
 */
export function parseEnvelope (text: string): Envelope {
  const value: unknown = parse(text, { protoAction: 'error', constructorAction: 'error' })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('an envelope is an object')
  const { type, id, data } = value as Partial<Record<keyof Envelope, unknown>>
  if (typeof type !== 'string') throw new SyntaxError('an envelope has a type')
  if (id !== undefined && !isId(id)) throw new SyntaxError('an id is a string of 1 to 64 characters or a whole number')
  return { type, id, data }
}

function isId (id: unknown): id is EnvelopeId {
  return typeof id === 'string' ? id.length >= 1 && id.length <= 64 : Number.isSafeInteger(id) && (id as number) >= 0
}

/** @param data JSON text; `undefined` for none */
export function replyEnvelope (id: EnvelopeId, data: string | undefined): string {
  return `{"type":"keep.reply","id":${JSON.stringify(id)}${data === undefined ? '' : `,"data":${data}`}}`
}

export function errorEnvelope (id: EnvelopeId | undefined, code: string, message: string): string {
  return JSON.stringify({ type: 'keep.error', id, data: { code, message } })
}
