/**
 * What a response is to a browser, which decides the headers it needs: a `document` may run scripts and is framed, an
 * `api` answer is data for a program, an `asset` is part of a document.
 */
export type ContentClass = 'document' | 'api' | 'asset'

export const CONTENT_CLASSES: readonly ContentClass[] = ['document', 'api', 'asset']

/** Media types that are no document; the rest, unknown ones included, are. */
const CLASSES_BY_TYPE: ReadonlyMap<string, ContentClass> = new Map<string, ContentClass>([
  ['application/json', 'api'],
  ['application/json-seq', 'api'],
  ['application/jsonl', 'api'],
  ['application/x-ndjson', 'api'],
  ['text/event-stream', 'api'],
  ['text/plain', 'api'],
  ['text/css', 'asset'],
  ['application/manifest+json', 'asset'],
  ['application/vnd.ms-fontobject', 'asset'],
  ['application/vnd.apple.mpegurl', 'asset'],
  ['application/dash+xml', 'asset'],
  // An image that is a document: opened by itself it may run scripts.
  ['image/svg+xml', 'document'],
])

const CLASSES_BY_TOP_LEVEL: ReadonlyMap<string, ContentClass> = new Map<string, ContentClass>([
  ['font', 'asset'],
  ['image', 'asset'],
  ['audio', 'asset'],
  ['video', 'asset'],
])

/** The one value that most answers of a service have, without the parsing. */
const JSON_OF_FASTIFY = 'application/json; charset=utf-8'

/**
 * The class of a response by its Content-Type; one that is missing, malformed or unknown makes a `document`, which has
 * all headers.
 *
 * @example contentClass('application/problem+json; charset=utf-8') // 'api'
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-content-type
 */
export function contentClass (contentType: unknown): ContentClass {
  if (contentType === JSON_OF_FASTIFY) return 'api'
  if (typeof contentType !== 'string') return 'document'
  const end = contentType.indexOf(';')
  const type = (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
  const known = CLASSES_BY_TYPE.get(type)
  if (known !== undefined) return known
  // What a browser cannot parse it sniffs for, so a list of types is none of them.
  if (!/^[a-z]+\/[\w.+-]+$/.test(type)) return 'document'
  if (type.endsWith('+json')) return 'api'
  // An image in XML runs scripts as SVG does.
  if (type.endsWith('+xml')) return 'document'
  return CLASSES_BY_TOP_LEVEL.get(type.slice(0, type.indexOf('/'))) ?? 'document'
}
