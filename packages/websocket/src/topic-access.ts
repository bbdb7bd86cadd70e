import { TopicLimit, TopicRefused } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'

/**
 * A client asks for a topic, by `keep.subscribe`. Only `true` from the route's `authorize` lets it; it is asked each time.
 * Rejects with FST_KEEP_WEBSOCKET_TOPIC_INVALID, _REFUSED, _LIMIT.
 */
export async function requestTopic (socket: InnerSocket, topic: string): Promise<void> {
  const { topics, policy: { topics: access } } = socket.guard
  if (access === undefined) throw new TopicRefused()
  topics.check(topic)
  checkRoom(socket, topic, access.maxPerSocket)
  if (await access.authorize(socket, topic) !== true) throw new TopicRefused()
  // Others may have been asked for while this one was considered.
  checkRoom(socket, topic, access.maxPerSocket)
  topics.subscribe(socket, topic)
}

function checkRoom (socket: InnerSocket, topic: string, max: number): void {
  const { topics } = socket.guard
  if (!topics.has(socket, topic) && topics.countOf(socket) >= max) throw new TopicLimit(max)
}
