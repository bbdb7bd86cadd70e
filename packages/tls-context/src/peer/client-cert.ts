import type { FastifyRequest } from 'fastify'
import { boolean, type Rule } from '@fastkeep/options'
import { tlsConnectionOf } from '../connection.js'
import { checkOptions, clientError } from '../errors.js'
import { hostnameOf } from '../redirect.js'
import { normalName } from '../sni.js'
import type { PeerCertificate } from './peer-certificate.js'
import { compileVerify, peerVerifyRule, type PeerVerify } from './rules.js'

/**
 * What a route asks of the client's certificate: `true`, that there is one and it is authorized; rules or a function;
 * `false`, nothing, whatever the scope around it says.
 */
export type ClientCertOption = boolean | PeerVerify

/** A route's demand, resolved when the route is added. */
export interface ClientCertDemand {
  readonly option: ClientCertOption
  readonly verify: ReturnType<typeof compileVerify>
}

export function resolveDemand (option: ClientCertOption, key = 'clientCert'): ClientCertDemand | null {
  const rule: Rule = typeof option === 'boolean' ? boolean : peerVerifyRule(option)
  checkOptions({ [key]: option }, { [key]: rule })
  if (option === false) return null
  return { option, verify: compileVerify(option === true ? undefined : option) }
}

/** The decision is the same for all requests of a connection, but a function may take its time over each anew. */
const decisions = new WeakMap<PeerCertificate, Map<ClientCertDemand, string | null>>()

/**
 * Rejects with 401 where there is no certificate, 403 where it is not let in, 421 where the connection was opened for
 * another name than the one that is asked for (RFC 9110 section 15.5.20): there another certificate might be demanded.
 */
export async function assertClientCert (request: FastifyRequest, demand: ClientCertDemand): Promise<void> {
  const connection = tlsConnectionOf(request.raw)
  if (connection === null || connection.peer === null) throw clientError('CLIENT_CERT_MISSING')
  const { peer, servername } = connection
  if (!peer.authorized) throw clientError('CLIENT_CERT_UNAUTHORIZED', peer.authorizationError ?? '')
  // A connection may outlive the certificate that it was opened with.
  if (peer.validTo.getTime() < Date.now()) throw clientError('CLIENT_CERT_UNAUTHORIZED', 'CERT_HAS_EXPIRED')
  const host = hostnameOf(request.headers[':authority'] as string | undefined ?? request.headers.host ?? '')
  if (servername !== null && host !== normalName(servername)) throw clientError('MISDIRECTED')
  const fault = await decide(peer, demand)
  if (fault !== null) throw clientError('CLIENT_CERT_REFUSED', fault)
}

async function decide (peer: PeerCertificate, demand: ClientCertDemand): Promise<string | null> {
  if (typeof demand.option === 'function') return await demand.verify(peer)
  const known = decisions.get(peer) ?? new Map<ClientCertDemand, string | null>()
  decisions.set(peer, known)
  const decision = known.get(demand)
  if (decision !== undefined) return decision
  const fault = await demand.verify(peer)
  known.set(demand, fault)
  return fault
}
