import { channel } from 'node:diagnostics_channel'

/** What happens in a context after its start; each is published as `fastkeep:tls-context:<event>` too. */
export interface ContextEvents {
  /** New certificates, keys or client trust serve from now on. */
  reloaded: { readonly changed: readonly string[], readonly duration: number }
  /** Something could not be read, or is not fit; what served before serves on. */
  'reload-failed': { readonly code: string, readonly message: string }
  stapled: { readonly subject: string, readonly usableUntil: Date }
  'staple-failed': { readonly subject: string, readonly responder: string, readonly reason: string }
  /** A peer was disconnected by `client.verify`. */
  'peer-refused': { readonly reason: string, readonly fingerprint256: string, readonly remoteAddress: string | undefined }
  /** A certificate that serves is near its end, or past it; told once a day. */
  'expires-soon': { readonly subject: string, readonly validTo: Date, readonly daysLeft: number }
  /** A file or directory cannot be watched. */
  'watch-failed': { readonly path: string, readonly code: string }
}

export type ContextEvent = keyof ContextEvents
export type ReportEvent = <Name extends ContextEvent>(event: Name, details: ContextEvents[Name]) => void
export type EventListener = (event: ContextEvent, details: ContextEvents[ContextEvent]) => void

/** Tells a context's listeners, and whoever listens to the process. */
export function eventReporter (listeners: ReadonlySet<EventListener>): ReportEvent {
  return (event, details) => {
    const diagnostics = channel(`fastkeep:tls-context:${event}`)
    if (diagnostics.hasSubscribers) diagnostics.publish(details)
    for (const listener of listeners) {
      try {
        listener(event, details)
      } catch (error) {
        // Its fault is its own, as with diagnostics_channel: what is told of has happened.
        process.nextTick(() => { throw error })
      }
    }
  }
}
