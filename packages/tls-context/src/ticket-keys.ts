import { shareTickets, type TicketPeers, type TicketSharing } from './ticket-sharing.js'
import type { TicketChain, TicketLink } from './ticket-chain.js'
import { ticketChain, type TicketOptions } from './tickets.js'

/** The ticket keys of one context: they roll at the end of each epoch, and may be those of other processes. */
export class TicketKeys {
  readonly #options: TicketOptions
  readonly #onChange: () => void
  #chain: TicketChain
  #timer: NodeJS.Timeout | undefined

  /** @param onChange called where all servers have to get them anew */
  constructor (options: TicketOptions, onChange: () => void) {
    this.#options = options
    this.#onChange = onChange
    this.#chain = ticketChain(options)
  }

  get chain (): TicketChain {
    return this.#chain
  }

  /** What a server takes; a ticket lives for half an epoch. */
  get options (): { ticketKeys: Buffer, sessionTimeout: number } {
    return { ticketKeys: this.#chain.keys(), sessionTimeout: Math.floor(this.#chain.epochLength / 2_000) }
  }

  /** Takes the link of another process in place of its own. */
  adopt (link: TicketLink): void {
    this.#take(ticketChain({ link }))
    this.#onChange()
  }

  /** Reads the starting secret again, which its operator replaces now and then. */
  reread (): boolean {
    if (typeof this.#options.secret !== 'string') return false
    const chain = ticketChain(this.#options)
    if (chain.keys().equals(this.#chain.keys())) return false
    this.#take(chain)
    return true
  }

  /** Rolls from now on. */
  roll (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#onChange()
      this.roll()
    }, this.#chain.untilNextEpoch)
    this.#timer.unref()
  }

  /** Has one chain with all processes of a supervisor; what was configured is what counts. */
  share (peers: TicketPeers): TicketSharing | undefined {
    if (this.#options.link !== undefined || this.#options.secret !== undefined) return undefined
    return shareTickets(this, peers, this.#options.application ?? '')
  }

  close (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #take (chain: TicketChain): void {
    this.#chain = chain
    if (this.#timer !== undefined) this.roll()
  }
}
