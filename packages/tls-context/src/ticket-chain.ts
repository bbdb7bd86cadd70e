import { hkdfSync, randomBytes } from 'node:crypto'

/** The link of one epoch, in a form that JSON carries: who has it can open the tickets of this epoch and of all later ones. */
export interface TicketLink {
  /** Whole epochs since 1970. */
  readonly epoch: number
  /** In ms. */
  readonly epochLength: number
  /** 32 bytes in base64. Secret. */
  readonly key: string
}

export const defaultEpochLength = 8 * 3_600_000
/** The epoch to which a starting secret of several machines belongs. */
const secretSince = Date.UTC(2026, 0, 1)

/**
 * Session ticket keys that several processes have without talking to each other, one an epoch:
 * `link(n + 1) = HKDF(link(n))`, and link n is erased (RFC 9325 section 3.4), so that whoever takes the memory of a
 * process cannot open the tickets of earlier epochs.
 *
 * @example
 * const chain = new TicketChain()                  // in the supervisor
 * worker.send({ ticketLink: chain.link() })        // to each worker
 * createServerContext({ cert, key, tickets: { link: message.ticketLink } })   // in the worker
 */
export class TicketChain {
  readonly epochLength: number
  #epoch: number
  #key: Buffer
  #previousKeys: Buffer | undefined

  /** @param start a link of another process; a secret of at least 32 bytes, shared by machines; default: random. */
  constructor (start: { readonly link?: TicketLink | undefined, readonly secret?: Uint8Array | undefined, readonly epochLength?: number | undefined } = {}) {
    const { link, secret, epochLength } = start
    this.epochLength = link?.epochLength ?? epochLength ?? defaultEpochLength
    if (link !== undefined) {
      this.#epoch = link.epoch
      this.#key = Buffer.from(link.key, 'base64')
    } else if (secret !== undefined) {
      this.#epoch = Math.floor(secretSince / this.epochLength)
      this.#key = derived(secret, `starting secret ${this.epochLength}`, 32)
    } else {
      this.#epoch = this.#now()
      this.#key = randomBytes(32)
    }
    this.#advance()
  }

  /** The present link, for a process that starts now. */
  link (): TicketLink {
    this.#advance()
    return { epoch: this.#epoch, epochLength: this.epochLength, key: this.#key.toString('base64') }
  }

  /** The present 48 bytes of the option `ticketKeys`. */
  keys (): Buffer {
    this.#advance()
    return keysOf(this.#key)
  }

  /** Those of the epoch before, where this process has seen it. */
  previousKeys (): Buffer | undefined {
    this.#advance()
    return this.#previousKeys
  }

  /** ms until the next epoch begins. */
  get untilNextEpoch (): number {
    return Math.max(1, (this.#epoch + 1) * this.epochLength - Date.now())
  }

  #now (): number {
    return Math.floor(Date.now() / this.epochLength)
  }

  /** A clock that goes back changes nothing: what is erased is gone. */
  #advance (): void {
    for (const now = this.#now(); this.#epoch < now; this.#epoch++) {
      const isLast = this.#epoch + 1 === now
      this.#previousKeys?.fill(0)
      this.#previousKeys = isLast ? keysOf(this.#key) : undefined
      const next = derived(this.#key, 'next link', 32)
      this.#key.fill(0)
      this.#key = next
    }
  }
}

/** Name, HMAC key and AES key, of 16 bytes each. */
function keysOf (link: Buffer): Buffer {
  return derived(link, 'ticket keys', 48)
}

function derived (key: Uint8Array, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `fastkeep tls-context ${purpose}`, length))
}
