import cookie from '@fastify/cookie'
import fp from 'fastify-plugin'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginCallback, FastifyRequest } from 'fastify'
import { LARGEST_COOKIE } from '../cookie-policy.js'
import { createKeyRing } from '../sealed/key-ring.js'
import { open, seal, type SealContext } from '../sealed/seal.js'
import { objectFrom } from '../session-text.js'
import { isLegacy, openLegacy } from './legacy-cookie.js'
import { legacySettingsFrom, type LegacySettings, type SecureSessionPluginOptions } from './legacy-options.js'
import { LegacySession, sessionBehind, withProperties, type LegacyFields } from './legacy-session.js'

export { type SecureSessionPluginOptions } from './legacy-options.js'
export { type LegacySession } from './legacy-session.js'

const WORDS = '@fastify/secure-session: '

/** What is said of a cookie that is not accepted, in the words of @fastify/secure-session. */
const REFUSALS = {
  malformed: 'the cookie is malformed, creating an empty session',
  'short-cipher': 'the cipher is not long enough, creating an empty session',
  'nonce-length': 'the nonce does not have the required length, creating an empty session',
  tampered: 'unable to decrypt, creating an empty session',
  expired: 'expiry reached',
} as const

interface Kind extends LegacySettings {
  readonly context: SealContext
}

type Options = SecureSessionPluginOptions | readonly SecureSessionPluginOptions[]

// With a callback, because to make a key of a secret can take longer than Fastify gives a plugin that waits for anything after it.
function secureSession (fastify: FastifyInstance, options: Options, done: (error?: Error) => void): void {
  const list = Array.isArray(options) ? options as readonly SecureSessionPluginOptions[] : [options as SecureSessionPluginOptions]
  let kinds: ReadonlyMap<string, Kind>
  try {
    kinds = new Map(list.map(legacySettingsFrom).map(settings => [settings.sessionName, kindOf(settings)]))
  } catch (error) {
    return done(error as Error)
  }
  const defaultName = kinds.keys().next().value as string
  const kindNamed = (name: string): Kind => {
    const kind = kinds.get(name)
    if (kind === undefined) throw new Error('Unknown session key.')
    return kind
  }
  const decode = (value: string | undefined, log: Pick<FastifyBaseLogger, 'debug' | 'trace'> = fastify.log, name = defaultName): LegacySession | null => {
    if (value === undefined) {
      log.trace(`${WORDS}there is no cookie, creating an empty session`)
      return null
    }
    const opened = opening(kindNamed(name), value)
    if (typeof opened !== 'string') return opened
    log.debug(WORDS + REFUSALS[opened])
    return null
  }
  const encode = (session: LegacySession, name = defaultName): string =>
    seal(kindNamed(name).context, JSON.stringify(LegacySession.fieldsOf(sessionBehind(session))), Math.floor(Date.now() / 1000))

  for (const name of kinds.keys()) fastify.decorateRequest(name, null)
  fastify.decorate('decodeSecureSession', decode)
  fastify.decorate('createSecureSession', (fields: LegacyFields = {}) => withProperties(new LegacySession(fields)))
  fastify.decorate('encodeSecureSession', encode)
  const cookieSecret = [...kinds.values()].at(-1)?.cookieSecret
  if (!fastify.hasPlugin('@fastify/cookie')) fastify.register(cookie, { secret: cookieSecret as string })
  // Its hooks come after those of @fastify/cookie.
  fastify.register(fp(async scope => addHooks(scope, kinds, decode, encode)))
  done()
}

type Decode = (value: string | undefined, log: Pick<FastifyBaseLogger, 'debug' | 'trace'>, name: string) => LegacySession | null
type Encode = (session: LegacySession, name: string) => string

function addHooks (fastify: FastifyInstance, kinds: ReadonlyMap<string, Kind>, decode: Decode, encode: Encode): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    for (const [name, kind] of kinds) {
      const session = decode(unsigned(request.cookies[kind.cookieName], kind), request.log, name)
      Reflect.set(request, name, session ?? withProperties(new LegacySession({})))
    }
    done()
  })

  fastify.addHook('onSend', (request, reply, _payload, done) => {
    for (const [name, { cookieName, cookieOptions }] of kinds) {
      const session = sessionOn(request, name)
      if (session === undefined || !session.changed) {
        request.log.trace(`${WORDS}there is no session or the session didn't change, leaving it as is`)
        continue
      }
      const attributes = { ...cookieOptions, ...LegacySession.cookieOptionsOf(session) }
      if (session.deleted) {
        request.log.debug(`${WORDS}deleting session`)
        reply.setCookie(cookieName, '', { ...attributes, expires: new Date(0), maxAge: 0 })
        continue
      }
      const value = encode(session, name)
      if (cookieName.length + value.length > LARGEST_COOKIE) {
        request.log.error({ code: 'FST_KEEP_SECURE_SESSION_TOO_LARGE', size: cookieName.length + value.length, limit: LARGEST_COOKIE },
          `cookie "${cookieName}" not sent, the session stays as it was: browsers ignore a cookie of more than ${LARGEST_COOKIE} bytes`)
        continue
      }
      request.log.trace(`${WORDS}setting session`)
      reply.setCookie(cookieName, value, attributes)
    }
    done()
  })

  function unsigned (value: string | undefined, { cookieOptions }: LegacySettings): string | undefined {
    if (value === undefined || cookieOptions.signed !== true) return value
    const result = fastify.unsignCookie(value)
    // A session is authenticated by its seal; the signature adds nothing, and its absence takes nothing away.
    return result.valid ? result.value : value
  }
}

function kindOf (settings: LegacySettings): Kind {
  const { cookieName, expiry, keys } = settings
  return { ...settings, context: { ring: createKeyRing(keys), cookieName, application: '', purpose: '@fastify/secure-session', longestAge: expiry } }
}

function opening (kind: Kind, value: string): LegacySession | keyof typeof REFUSALS {
  const opened = isLegacy(value) ? openLegacy(kind.keys, value) : openSealed(kind.context, value)
  if ('refused' in opened) return opened.refused
  const fields = objectFrom(opened.text) as LegacyFields | undefined
  if (fields === undefined || typeof fields.__ts !== 'number') return 'malformed'
  if ((fields.__ts + kind.expiry) * 1000 <= Date.now()) return 'expired'
  const session = new LegacySession(fields)
  // What was sealed in the old way, or with an old key, goes out in the new one at first sight.
  session.changed = opened.isKeyRetired || isLegacy(value)
  return withProperties(session)
}

function openSealed (context: SealContext, value: string): { text: string, isKeyRetired: boolean } | { refused: keyof typeof REFUSALS } {
  const opened = open(context, value, Math.floor(Date.now() / 1000))
  if (!('refused' in opened)) return opened
  return { refused: opened.refused === 'malformed' || opened.refused === 'expired' ? opened.refused : 'tampered' }
}

function sessionOn (request: FastifyRequest, name: string): LegacySession | undefined {
  const view = Reflect.get(request, name) as LegacySession | null | undefined
  return view === null || view === undefined ? undefined : sessionBehind(view)
}

// Its name too, by which other plugins find it.
const registered: FastifyPluginCallback<Options> = fp(secureSession as FastifyPluginCallback<Options>, { fastify: '5.x', name: '@fastify/secure-session' })

/**
 * Takes the place of @fastify/secure-session 8: the same options, decorators and texts; reads its cookies and goes on with
 * cookies sealed by AES-256-GCM. Needs @noble/ciphers and @noble/hashes.
 *
 * @example app.register(require('@fastkeep/secure-session/compat/fastify-secure-session'), { key: fs.readFileSync('secret-key') })
 */
const plugin = Object.assign(registered, { default: registered, fastifySecureSession: registered })

export default plugin
export { plugin as fastifySecureSession, plugin as 'module.exports' }
