import type { FastifyReply } from 'fastify'

/** Adds a Set-Cookie line in place of one for the same name that the application wrote. */
export function replaceSetCookie (reply: FastifyReply, name: string, line: string): void {
  setLines(reply, [...linesOf(reply).filter(other => !other.startsWith(`${name}=`)), line])
}

/** Takes back a line. */
export function withdrawSetCookie (reply: FastifyReply, line: string): void {
  setLines(reply, linesOf(reply).filter(other => other !== line))
}

/**
 * Keeps a response with a session's cookie out of caches that would give the cookie to other people (RFC 9111 7.3):
 * sets `Cache-Control: no-store`, unless the response says `no-store` or `private` for all of itself already.
 */
export function forbidCaching (reply: FastifyReply): void {
  const directives = [reply.getHeader('cache-control') ?? []].flat().join().toLowerCase().split(',').map(directive => directive.trim())
  if (!directives.includes('no-store') && !directives.includes('private')) reply.header('cache-control', 'no-store')
}

function linesOf (reply: FastifyReply): string[] {
  return [reply.getHeader('set-cookie') ?? []].flat().map(String)
}

function setLines (reply: FastifyReply, lines: readonly string[]): void {
  // reply.header() adds to a Set-Cookie that is there already.
  reply.removeHeader('set-cookie')
  if (lines.length > 0) reply.header('set-cookie', lines)
}
