import type { KeyObject } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { configurationError, KeysMissing } from './errors.js'
import { EndWatch } from './end-watch.js'
import { SessionEvents } from './events.js'
import { insecureTransportGuard } from './insecure-transport.js'
import type { SessionMode } from './mode.js'
import type { Settings } from './options.js'
import { EndedSessions, type Revocation } from './sealed/ended-sessions.js'
import { createKeyRing, deriveSubkey, type KeyRing } from './sealed/key-ring.js'
import { readKeys, type KeySources } from './sealed/key-sources.js'
import { SealedCookies } from './sealed/sealed-cookies.js'
import { SealedSessions, type NotBefore } from './sealed/sealed-sessions.js'
import { SessionCookie } from './session-cookie.js'
import { Deadlines } from './stores/deadlines.js'
import { guardedStore } from './stores/guarded-store.js'
import { MemoryStore } from './stores/memory.js'
import type { SessionStore } from './stores/store.js'
import { StoredSessions } from './stores/stored-sessions.js'

/** One session of an application: all that its requests share. */
export interface Registration {
  readonly settings: Settings
  readonly mode: SessionMode
  /** With a deadline on each answer. */
  readonly store: SessionStore | undefined
  readonly cookie: SessionCookie
  readonly events: SessionEvents
  readonly watch: EndWatch
  readonly origins: ReadonlySet<string>
  /** Longest data of one session, in bytes. */
  readonly largestData: number
  readonly csrfKeys: () => readonly KeyObject[]
  readonly keyCount: () => number
  /** Reads the keys anew. Throws, and then nothing has changed. */
  readonly reloadKeys: () => void
  /** Whether the answer goes over plain HTTP, where browsers ignore a Secure cookie. */
  readonly refusesTransport: (request: FastifyRequest) => boolean
}

export function createRegistration (fastify: FastifyInstance, settings: Settings, sources: KeySources): Registration {
  const cookie = new SessionCookie(settings.cookie, settings.chunks, fastify.serializeCookie.bind(fastify))
  const { store: givenStore } = settings
  const deadlines = new Deadlines(settings.storeTimeout)
  let { ring } = settings
  const cookies = new SealedCookies({
    ...settings,
    ring,
    cookieName: cookie.name,
    purpose: givenStore === undefined ? 'session' : 'session-id',
    cacheBytes: settings.cacheSize,
    longestValue: cookie.longestValue,
  })
  // Our own memory is neither down nor slow, and what it answers is ours; a class made from it may differ.
  const store = givenStore === undefined || givenStore.constructor === MemoryStore ? givenStore : guardedStore(givenStore, deadlines)
  const largestData = store === undefined ? cookie.longestValue : settings.maxSize
  const mode: SessionMode = store === undefined
    ? new SealedSessions({
      ...settings,
      cookies,
      ended: new EndedSessions(settings.maxEnded),
      revocation: settings.revocation && guardedRevocation(settings.revocation, deadlines),
      notBefore: settings.notBefore && guardedNotBefore(settings.notBefore, deadlines),
      onForgotten: forgottenWarning(fastify),
    })
    : new StoredSessions({ ...settings, cookies, store, largestData })
  const watch = new EndWatch(mode, settings.absoluteTimeout)

  fastify.addHook('onClose', async () => {
    watch.close()
    await givenStore?.close()
  })

  const csrfKeyOf = (from: KeyRing): KeyObject[] => from.all.map(key => deriveSubkey(key, { cookieName: cookie.name, purpose: 'csrf', day: 0 }))
  let csrfKeys: readonly KeyObject[] | undefined
  const registration: Registration = {
    settings,
    mode,
    store,
    cookie,
    events: new SessionEvents(settings.name),
    watch,
    origins: new Set(settings.csrf === false ? [] : settings.csrf.origins),
    largestData,
    csrfKeys () {
      csrfKeys ??= csrfKeyOf(ring)
      return csrfKeys
    },
    keyCount: () => ring.all.length,
    reloadKeys () {
      // A key made for this process has no source to be read from again.
      if (settings.isKeyTemporary) return
      const keys = readKeys(sources, process.env)
      if (keys === undefined) throw configurationError(new KeysMissing())
      ring = createKeyRing(keys)
      cookies.use(ring)
      csrfKeys = undefined
    },
    refusesTransport: insecureTransportGuard(cookie.name),
  }
  reloadAtGraceful(fastify, registration)
  return registration
}

/** The part of the engine that is used where there is one. */
interface Engine {
  subscribe (channel: 'graceful', listener: () => void, options: { priority: number, name: string }): unknown
}

function reloadAtGraceful (fastify: FastifyInstance, { reloadKeys, cookie }: Registration): void {
  if (!fastify.hasDecorator('engine')) return
  fastify.getDecorator<Engine>('engine').subscribe('graceful', () => reloadKeys(), { priority: 20, name: `secure-session keys of ${cookie.name}` })
}

function guardedRevocation (revocation: Revocation, deadlines: Deadlines): Revocation {
  return {
    isEnded: id => deadlines.within(() => revocation.isEnded(id)),
    end: (id, end) => deadlines.within(() => revocation.end(id, end)),
  }
}

function guardedNotBefore (notBefore: NotBefore, deadlines: Deadlines): NotBefore {
  return subject => deadlines.within(() => notBefore(subject))
}

function forgottenWarning (fastify: FastifyInstance): () => void {
  let isWarned = false
  return () => {
    if (isWarned) return
    isWarned = true
    fastify.log.warn({ code: 'FST_KEEP_SECURE_SESSION_ENDED_LIST_FULL' },
      'the list of ended sessions is full, so that the cookie of one that has ended may be accepted again until its limits: raise "maxEnded", or use a "revocation" or a store')
  }
}
