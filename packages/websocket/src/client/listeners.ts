/** Listeners by name. */
export type Listeners = Map<string, Set<(event: never) => void>>

/** Returns what takes it away again; `onLast` is called if no other listens to that name then. */
export function listen<Event> (listeners: Listeners, name: string, listener: (event: Event) => void, onLast = () => {}): () => void {
  // Of its own: the same function may listen twice.
  const own = (event: Event): void => listener(event)
  const present = listeners.get(name) ?? new Set()
  listeners.set(name, present.add(own))
  return () => {
    if (present.delete(own) && present.size === 0 && listeners.get(name) === present) {
      listeners.delete(name)
      onLast()
    }
  }
}

/** Soon, and each apart from the others: what a listener throws is reported as uncaught, and nobody else's call is lost. */
export function tell (listeners: Listeners, name: string, event: unknown): void {
  const present = listeners.get(name)
  present?.forEach(listener => queueMicrotask(() => { if (present.has(listener)) listener(event as never) }))
}
