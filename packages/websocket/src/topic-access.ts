import { TopicLimit, TopicRefused } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'

/** A subscription that is being considered. */
interface Asked {
  readonly topic: string
  isWithdrawn: boolean
}

const asked = new WeakMap<InnerSocket, Set<Asked>>()

/**
 * A client asks for a topic, by `keep.subscribe`. Only `true` from the route's `authorize` lets it; it is asked each time.
 * Rejects with FST_KEEP_WEBSOCKET_TOPIC_INVALID, _REFUSED, _LIMIT.
 *
 * @param isTooLate whether the client has been told that nothing came of it
 */
export async function requestTopic (socket: InnerSocket, topic: string, isTooLate: () => boolean): Promise<void> {
  const { topics, policy: { topics: access } } = socket.guard
  if (access === undefined) throw new TopicRefused()
  topics.check(topic)
  checkRoom(socket, topic, access.maxPerSocket)
  const own = ask(socket, topic)
  try {
    if (await access.authorize(socket, topic) !== true) throw new TopicRefused()
  } finally {
    asked.get(socket)?.delete(own)
  }
  if (own.isWithdrawn || isTooLate()) return
  // Others may have been asked for while this one was considered.
  checkRoom(socket, topic, access.maxPerSocket)
  topics.subscribe(socket, topic)
}

/** What was asked for before this ends with it: the last word of the client holds, whenever `authorize` answers. */
export function leaveTopic (socket: InnerSocket, topic: string): void {
  socket.guard.topics.unsubscribe(socket, topic)
  for (const each of asked.get(socket) ?? []) if (each.topic === topic) each.isWithdrawn = true
}

function ask (socket: InnerSocket, topic: string): Asked {
  const own = { topic, isWithdrawn: false }
  const others = asked.get(socket)
  if (others === undefined) asked.set(socket, new Set([own]))
  else others.add(own)
  return own
}

function checkRoom (socket: InnerSocket, topic: string, max: number): void {
  const { topics } = socket.guard
  if (!topics.has(socket, topic) && topics.countOf(socket) >= max) throw new TopicLimit(max)
}
