import type { TicketChain, TicketLink } from './ticket-chain.js'
import { isTicketLink } from './tickets.js'

/** The other workers of a supervisor: `engine.peers`, or whatever else carries JSON to all of them and not back. */
export interface TicketPeers {
  send (topic: string, data: unknown): unknown
  on (topic: string, listener: (data: unknown) => void): () => void
}

/** What a worker tells the others. */
interface Offer {
  /** When the first worker began the chain, in ms since 1970. */
  readonly since: number
  readonly link: TicketLink
}

/** What sharing has led to. */
export interface TicketSharing {
  /** Resolves when another worker has told its link, or soon, where there is none: what serves then has the link of all. */
  readonly settled: Promise<void>
  /** Ends it; the keys stay. */
  end (): void
}

/** ms within which one of those who know better tells a newcomer; the others hear it and keep silent. */
const longestPause = 20
/** ms that a newcomer waits for them. */
const patience = 100

/**
 * Has all workers use the ticket keys of the one that was there first. Each tells its own when it comes; whoever has an
 * older chain answers, and the newer one is given up. So a newcomer has the present link, whoever of the others has gone.
 *
 * @param application whose sessions they are: only these are shared
 */
export function shareTickets (keys: { readonly chain: TicketChain, adopt (link: TicketLink): void }, peers: TicketPeers, application: string): TicketSharing {
  const topic = `tls-context:tickets:${application}`
  let since = Date.now()
  let answer: NodeJS.Timeout | undefined
  let settle = (): void => {}
  const settled = new Promise<void>(resolve => { settle = resolve })
  const alone = setTimeout(settle, patience)
  const tell = (): void => {
    peers.send(topic, { since, link: keys.chain.link() } satisfies Offer)
  }
  const end = peers.on(topic, offer => {
    if (!isOffer(offer)) return
    const mine = keys.chain.link()
    if (offer.link.epochLength !== mine.epochLength) return
    if (offer.link.key === mine.key) {
      clearTimeout(answer)
      since = Math.min(since, offer.since)
      settle()
    } else if (isBefore(offer, { since, link: mine })) {
      clearTimeout(answer)
      since = offer.since
      keys.adopt(offer.link)
      settle()
    } else {
      clearTimeout(answer)
      answer = setTimeout(tell, Math.random() * longestPause).unref()
      // Who is older than all is told nothing.
      settle()
    }
  })
  tell()
  return {
    settled,
    end: () => {
      clearTimeout(answer)
      clearTimeout(alone)
      settle()
      end()
    },
  }
}

/** The same for all who compare the two. */
function isBefore (one: Offer, other: Offer): boolean {
  return one.since === other.since ? one.link.key < other.link.key : one.since < other.since
}

function isOffer (data: unknown): data is Offer {
  const { since, link } = (data ?? {}) as Partial<Offer>
  return Number.isFinite(since) && isTicketLink(link)
}
