import type { FastifyRequest } from 'fastify'

/**
 * Which pages may open a socket: those of this server itself, those of the listed origins, or those that a function
 * says `true` to. The function gets the header as it came. `'any'` lets any page and any other client through.
 */
export type OriginOption = 'same-origin' | 'any' | readonly string[] | OriginFunction

export type OriginFunction = (origin: string, request: FastifyRequest) => boolean | Promise<boolean>

/** Scheme, host and port and nothing else: what a browser can send as `Origin`, or `scheme://` and a `Host`. */
const BARE_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\,*]+$/i

/**
 * The origin that the text names, in the one form that the URL standard gives it (lower case, default port left out),
 * or `undefined` if it is not a bare origin. RFC 6454, 6.1; https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin
 *
 * @example canonicalOrigin('https://Chat.Example:443') // 'https://chat.example'
 */
export function canonicalOrigin (text: string): string | undefined {
  if (text !== lastText) {
    lastText = text
    lastOrigin = parseOrigin(text)
  }
  return lastOrigin
}

// One handshake asks twice for the same, and so does most often the next one.
let lastText = ''
let lastOrigin: string | undefined

function parseOrigin (text: string): string | undefined {
  if (!BARE_ORIGIN.test(text) || !URL.canParse(text)) return undefined
  const { origin } = new URL(text)
  // A scheme without origins (`file:`, `data:`) serialises to the word that every opaque origin shares.
  return origin === 'null' ? undefined : origin
}

/** The origin at which the client reached this server, as far as Fastify's `trustProxy` lets it be known. */
export function ownOrigin (request: FastifyRequest): string | undefined {
  // A request of `injectWS` has no socket, and so no protocol.
  const scheme = (request.protocol as string | undefined) ?? 'http'
  return canonicalOrigin(`${scheme}://${request.host}`)
}

/** The test that the option stands for. It takes the header as it came. */
export function originTest (option: OriginOption): OriginFunction {
  if (option === 'any') return () => true
  if (typeof option === 'function') return (origin, request) => isOneOrigin(origin) && option(origin, request)
  if (option === 'same-origin') {
    return (origin, request) => {
      const own = ownOrigin(request)
      return own !== undefined && canonicalOrigin(origin) === own
    }
  }
  const listed = new Set(option)
  return origin => {
    const canonical = canonicalOrigin(origin)
    return canonical !== undefined && listed.has(canonical)
  }
}

/** Node joins several headers with a comma, and any sandboxed frame can send `null`: neither says who is asking. */
function isOneOrigin (origin: string): boolean {
  return origin !== '' && origin !== 'null' && !/[\s,]/.test(origin)
}
