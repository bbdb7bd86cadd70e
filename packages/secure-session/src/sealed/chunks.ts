import { LARGEST_COOKIE } from '../cookie-policy.js'

/*
 * A value that fits into no single cookie is spread over several: the first says how many there are and begins with
 * "<number>.", a character that base64url has not; the further ones are named <name>.1, <name>.2.
 */

/** More would not fit into the 16 KiB of headers that Node accepts. */
export const MOST_CHUNKS = 3

export interface Chunk {
  readonly name: string
  readonly value: string
}

/** How many characters a value can have in so many cookies of one name. */
export function longestValueOf (name: string, chunks: number): number {
  return chunks === 1 ? roomIn(name) : roomIn(chunkName(name, 0)) - 2 + (chunks - 1) * roomIn(chunkName(name, 1))
}

/** The cookies of a value; a short one is one cookie as it is. */
export function split (name: string, value: string): Chunk[] {
  if (value.length <= roomIn(name)) return [{ name, value }]
  const room = roomIn(chunkName(name, 1))
  const pieces: string[] = [value.slice(0, roomIn(name) - 2)]
  for (let start = roomIn(name) - 2; start < value.length; start += room) pieces.push(value.slice(start, start + room))
  return pieces.map((piece, index) => ({ name: chunkName(name, index), value: index === 0 ? `${pieces.length}.${piece}` : piece }))
}

/**
 * The value in a request's cookies: of those of its name, as many as the first one says. `undefined` if there is none.
 * @param chunkAt the value of the cookie with that index in `chunkNames`
 */
export function join (name: string, chunkAt: (index: number) => string | undefined): string | undefined {
  const first = chunkAt(0)
  if (first?.[1] !== '.') return first
  const count = Number(first[0])
  if (!(count >= 2 && count <= MOST_CHUNKS)) return first
  let value = first.slice(2)
  for (let index = 1; index < count; index++) value += chunkAt(index) ?? ''
  // Only as `split` makes them: with a point in it the first piece alone opens nowhere.
  const chunks = split(name, value)
  return chunks.length === count && chunks[0]?.value === first ? value : first
}

/** The names of all cookies over which a value of this name can be spread. */
export function chunkNames (name: string): string[] {
  return Array.from({ length: MOST_CHUNKS }, (_, index) => chunkName(name, index))
}

function chunkName (name: string, index: number): string {
  return index === 0 ? name : `${name}.${index}`
}

function roomIn (name: string): number {
  return LARGEST_COOKIE - name.length
}
