import { type FastifyReply } from 'fastify'

/** Adds a Set-Cookie line in place of an earlier one for the same name: a response passes onSend twice if a later hook fails. */
export function replaceSetCookie (reply: FastifyReply, name: string, line: string): void {
  const header = reply.getHeader('set-cookie')
  const lines = Array.isArray(header) ? header : header === undefined ? [] : [String(header)]
  // reply.header() adds to a Set-Cookie that is there already.
  reply.removeHeader('set-cookie')
  reply.header('set-cookie', [...lines.filter(other => !other.startsWith(`${name}=`)), line])
}
