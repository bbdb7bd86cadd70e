import type { Publication } from '../publication.js'

/**
 * Carries what is published in one process to the others. Each subscriber gets a publication at most once: what is
 * published while the broker is away, or while a subscription is on its way to it, reaches the sockets of the
 * publishing process only. Publications of one process arrive in order.
 */
export interface Broker {
  /**
   * Once, before the application is ready. Resolves when publications are carried, or when it is clear that they are
   * not yet: that is reported and tried again, and keeps no application from its start.
   */
  open (events: BrokerEvents): void | Promise<void>
  /** To the subscribers in all other processes. Never throws, and keeps nothing back while the broker is away. */
  publish (publication: Publication): void
  /** This process wants what is published to the topic: it has a first subscriber. */
  subscribe (topic: string): void
  /** Its last subscriber has gone. */
  unsubscribe (topic: string): void
  /** The application closes. Resolves when nothing is left that keeps the process alive. */
  close (): Promise<void>
}

export interface BrokerEvents {
  /** Hands what another process has published to the sockets of this one. */
  deliver (publication: Publication): void
  /**
   * Nothing is carried any more or, with a topic, what is published to that one; it will be tried again. Said once,
   * of each topic too, until {@link back}.
   */
  away (error: Error, topic?: string): void
  /** @param missed publications of this process that were not carried meanwhile */
  back (missed: number, topic?: string): void
  /** This one publication cannot be carried, be the broker there or not. */
  refused (error: Error): void
}
