import { TopicLimit, TopicRefused } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'

/**
 * A client asks for a topic, by `keep.subscribe`. Only `true` from the route's `authorize` lets it.
 * Rejects with FST_KEEP_WEBSOCKET_TOPIC_INVALID, _REFUSED, _LIMIT.
 */
export async function requestTopic (socket: InnerSocket, topic: string): Promise<void> {
  const { topics, policy: { topics: access } } = socket.guard
  if (access === undefined) throw new TopicRefused()
  topics.check(topic)
  if (topics.countOf(socket) >= access.maxPerSocket) throw new TopicLimit(access.maxPerSocket)
  if (await access.authorize(socket, topic) !== true) throw new TopicRefused()
  topics.subscribe(socket, topic)
}
