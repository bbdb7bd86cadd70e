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

/** ms within which one of those who know better tells a newcomer; the others hear it and keep silent. */
const longestPause = 20

/**
 * Has all workers use the ticket keys of the one that was there first. Each tells its own when it comes; whoever has an
 * older chain answers, and the newer one is given up. So a newcomer has the present link, whoever of the others has gone.
 *
 * @param application whose sessions they are: only these are shared
 * @returns a function that ends that
 */
export function shareTickets (keys: { readonly chain: TicketChain, adopt (link: TicketLink): void }, peers: TicketPeers, application: string): () => void {
  const topic = `tls-context:tickets:${application}`
  let since = Date.now()
  let answer: NodeJS.Timeout | undefined
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
    } else if (isBefore(offer, { since, link: mine })) {
      clearTimeout(answer)
      since = offer.since
      keys.adopt(offer.link)
    } else {
      clearTimeout(answer)
      answer = setTimeout(tell, Math.random() * longestPause).unref()
    }
  })
  tell()
  return () => {
    clearTimeout(answer)
    end()
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
