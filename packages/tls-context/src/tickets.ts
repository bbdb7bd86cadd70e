import cluster from 'node:cluster'
import { resolve } from 'node:path'
import type { Server } from 'node:tls'
import { boolean, integer, nested, string, type Rule } from '@fastkeep/options'
import { finding, type Finding } from './certificates/finding.js'
import { readSource } from './certificates/pem.js'
import { tlsContextError } from './errors.js'
import { TicketChain, type TicketLink } from './ticket-chain.js'

export interface TicketOptions {
  /** In ms: how long one key is used. 10 minutes to 7 days. Default: 8 hours. A ticket lives half of that. */
  epoch?: number
  /** What another process of this machine has got from `ticketLink`; its epoch goes with it. */
  link?: TicketLink
  /**
   * A path of a file, or bytes, of at least 32 bytes that several machines share. Whoever reads it can open all tickets
   * made since: replace it weekly.
   */
  secret?: string | Uint8Array
  /** Sessions are resumed only where this is the same. Default: `''`. */
  application?: string
  /**
   * A ticket of the epoch before still resumes, and is renewed. Through an interface of Node that is not documented.
   * Default: `false`: it costs one full handshake.
   */
  keepsPrevious?: boolean
}

const epochLengthRule = integer(600_000, 604_800_000, 'ms')
const mostEpochs = 100_000

const link: Rule = {
  expected: 'the ticketLink of another context',
  isSecret: true,
  accepts: value => {
    const { epoch, epochLength, key } = (value ?? {}) as Partial<TicketLink>
    if (!Number.isInteger(epoch) || !epochLengthRule.accepts(epochLength)) return false
    // From a link of long ago the present one is not reached in a moment.
    const age = Date.now() / (epochLength as number) - (epoch as number)
    return Math.abs(age) < mostEpochs && typeof key === 'string' && Buffer.from(key, 'base64').length === 32
  },
}

const optionRules: Readonly<Record<string, Rule>> = {
  epoch: epochLengthRule,
  link,
  secret: { expected: 'the path of a file, or bytes', isSecret: true, accepts: value => (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0 },
  application: string(),
  keepsPrevious: boolean,
}

export function ticketsRule (tickets: unknown): Rule {
  return tickets === false ? boolean : nested(optionRules)
}

export function isTicketLink (value: unknown): value is TicketLink {
  return link.accepts(value)
}

export function ticketChain ({ epoch, link, secret }: TicketOptions): TicketChain {
  return new TicketChain({ epochLength: epoch, link, secret: secret === undefined ? undefined : readSecret(secret) })
}

/** The file of the starting secret, absolute. */
export function secretFile (tickets: TicketOptions | false | undefined): string | undefined {
  return tickets !== false && typeof tickets?.secret === 'string' ? resolve(tickets.secret) : undefined
}

function readSecret (source: string | Uint8Array): Uint8Array {
  const { bytes, name } = readSource(source, 'tickets.secret')
  if (bytes.length < 32) throw tlsContextError('TICKET_SECRET_SHORT', `option "tickets.secret": ${name} holds ${bytes.length} bytes, and 32 are the least. Make it with: openssl rand -out ticket.secret 48`)
  return bytes
}

/** node:cluster shares keys by itself until the first reload, and no longer. */
export function ticketFindings (tickets: TicketOptions | false): Finding[] {
  if (tickets === false || !cluster.isWorker || tickets.link !== undefined || tickets.secret !== undefined) return []
  return [finding('TICKETS_NOT_SHARED', 'this is one of several workers, and each has session ticket keys of its own: a client that reaches another worker makes a full handshake', 'give each worker the option "tickets.link" of one TicketChain, or "tickets.secret"')]
}

/** What a ticket key callback gets and gives in Node's native code; anything of another form there ends the process. */
type TicketKeyCallback = (name: Buffer, iv: Buffer, isEncrypting: boolean) => readonly [result: 0 | 1 | 2, hmac: Buffer, aes: Buffer, name: Buffer, iv: Buffer]

interface PrivateServer {
  readonly _sharedCreds?: { readonly context?: { enableTicketKeyCallback?: () => void, onticketkeycallback?: TicketKeyCallback } }
}

/** Throws `TICKETS_NOT_SUPPORTED` where this Node has no such callback. */
export function keepPreviousKeys (server: Server, chain: TicketChain, randomIv: () => Buffer): void {
  const context = (server as unknown as PrivateServer)._sharedCreds?.context
  if (typeof context?.enableTicketKeyCallback !== 'function') {
    throw tlsContextError('TICKETS_NOT_SUPPORTED', `option "tickets.keepsPrevious": Node ${process.version} has no callback for ticket keys. Leave the option out`)
  }
  context.onticketkeycallback = (name, _iv, isEncrypting) => {
    const [present, previous] = [chain.keys(), chain.previousKeys()]
    if (isEncrypting) return [1, present.subarray(16, 32), present.subarray(32), present.subarray(0, 16), randomIv()]
    const isPrevious = previous !== undefined && name.equals(previous.subarray(0, 16))
    const keys = isPrevious ? previous : present
    const result = isPrevious ? 2 : name.equals(present.subarray(0, 16)) ? 1 : 0
    return [result, keys.subarray(16, 32), keys.subarray(32), name, _iv]
  }
  context.enableTicketKeyCallback()
}
