import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { connect, createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import { keyOf } from './certificates/certificate-facts.js'
import type { Identity } from './certificates/load.js'
import { subjectOf } from './certificates/validate.js'
import { systemCode, tlsContextError } from './errors.js'
import type { SharedOptions } from './generation.js'

/** What a client has to offer to be shown a certificate with such a key. */
const signatureAlgorithms: Readonly<Record<string, string>> = {
  ec: 'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512',
  rsa: 'rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pkcs1_sha256',
  'rsa-pss': 'rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512',
  ed25519: 'ed25519',
  ed448: 'ed448',
}

const patience = 5_000

/**
 * A whole handshake in memory, as with a client that wants this certificate: the one proof that it can be served.
 * Rejects with `TRIAL_FAILED`.
 */
export async function trialHandshake (context: SecureContext, identity: Identity, options: SharedOptions): Promise<void> {
  const [leaf] = identity.chain
  const [clientSide, serverSide] = wires()
  const server = new TLSSocket(serverSide, { isServer: true, secureContext: context, requestCert: false })
  // No name is checked: the certificate may be for any, and it is compared as a whole.
  const client = connect({ socket: clientSide, secureContext: clientContext(keyOf(leaf).type, options), rejectUnauthorized: false })
  const timer = setTimeout(() => client.destroy(new Error('no answer')), patience)
  server.on('error', error => client.destroy(error))
  try {
    await once(client, 'secureConnect')
    const shown = client.getPeerX509Certificate()
    if (shown?.fingerprint256 !== leaf.fingerprint256) throw tlsContextError('TRIAL_FAILED', `a trial handshake for ${subjectOf(leaf)} showed another certificate (${shown === undefined ? 'none' : subjectOf(shown)})`)
  } catch (error) {
    if ((error as Error).message.startsWith('tls-context:')) throw error
    throw tlsContextError('TRIAL_FAILED', `a trial handshake with the certificate for ${subjectOf(leaf)} failed (${systemCode(error)}): no client could connect. See that the profile has suites and groups for its kind of key`)
  } finally {
    clearTimeout(timer)
    client.destroy()
    server.destroy()
  }
}

const clientContexts = new WeakMap<SharedOptions, Map<string, SecureContext>>()

/** One for all certificates of a reload with the same kind of key. */
function clientContext (keyType: string, options: SharedOptions): SecureContext {
  const contexts = clientContexts.get(options) ?? new Map<string, SecureContext>()
  clientContexts.set(options, contexts)
  const { minVersion, maxVersion, ciphers, ecdhCurve } = options
  const sigalgs = options.sigalgs ?? signatureAlgorithms[keyType]
  const context = contexts.get(keyType) ?? createSecureContext({ minVersion, maxVersion, ciphers, ecdhCurve, ca: [], ...sigalgs !== undefined && { sigalgs } })
  contexts.set(keyType, context)
  return context
}

/**
 * Two ends of a connection in memory. Each piece arrives in a later turn of the event loop, unlike with Node's own
 * duplexPair(): there a whole handshake, and the next one, would hold up everybody else.
 */
function wires (): [Duplex, Duplex] {
  const one: Duplex = new Duplex({ read () {}, write: (chunk, _encoding, done) => carry(other, chunk, done), final: done => carry(other, null, done) })
  const other: Duplex = new Duplex({ read () {}, write: (chunk, _encoding, done) => carry(one, chunk, done), final: done => carry(one, null, done) })
  return [one, other]
}

function carry (to: Duplex, chunk: Buffer | null, done: () => void): void {
  setImmediate(() => {
    if (!to.destroyed) to.push(chunk)
    done()
  })
}
