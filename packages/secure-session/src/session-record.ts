import { randomBytes } from 'node:crypto'
import type { SessionTimes } from './lifetimes.js'

/** What is kept of a session between requests. */
export interface SessionRecord extends SessionTimes {
  /** 256 random bits in base64url. */
  readonly id: string
  readonly data: Record<string, unknown>
}

export function newRecord (now: number, data: Record<string, unknown> = emptyData()): SessionRecord {
  return { id: randomBytes(32).toString('base64url'), createdAt: now, renewedAt: now, data }
}

export function recordToText ({ id, createdAt, renewedAt, data }: SessionRecord): string {
  return JSON.stringify({ id, createdAt, renewedAt, data })
}

/** The record that `recordToText` wrote, or `undefined` for any other text. */
export function recordFromText (text: string): SessionRecord | undefined {
  const value = parsed(text)
  if (!isObject(value) || !isObject(value.data)) return undefined
  const { id, createdAt, renewedAt, data } = value
  if (typeof id !== 'string' || !Number.isSafeInteger(createdAt) || !Number.isSafeInteger(renewedAt)) return undefined
  return { id, createdAt: createdAt as number, renewedAt: renewedAt as number, data: Object.assign(emptyData(), data) }
}

/** Without a prototype, so that no field name reaches Object.prototype. */
export function emptyData (): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
