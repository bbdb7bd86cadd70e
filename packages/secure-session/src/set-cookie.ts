import type { FastifyReply } from 'fastify'

/** Adds Set-Cookie lines, each in place of one for the same name that the application wrote. */
export function replaceSetCookies (reply: FastifyReply, lines: readonly string[]): void {
  if (!reply.hasHeader('set-cookie')) return addLines(reply, lines)
  const others = linesOf(reply).filter(other => !lines.some(line => other.startsWith(nameOf(line))))
  // reply.header() adds to a Set-Cookie that is there already.
  reply.removeHeader('set-cookie')
  addLines(reply, [...others, ...lines])
}

/** Takes lines back. */
export function withdrawSetCookies (reply: FastifyReply, lines: readonly string[]): void {
  const others = linesOf(reply).filter(other => !lines.includes(other))
  reply.removeHeader('set-cookie')
  addLines(reply, others)
}

/**
 * Keeps a response with a session's cookie out of caches that would give the cookie to other people (RFC 9111 7.3):
 * sets `Cache-Control: no-store`, unless the response says `no-store` or `private` for all of itself already.
 */
export function forbidCaching (reply: FastifyReply): void {
  const present = reply.getHeader('cache-control')
  if (present !== undefined) {
    const directives = [present].flat().join().toLowerCase().split(',').map(directive => directive.trim())
    if (directives.includes('no-store') || directives.includes('private')) return
  }
  reply.header('cache-control', 'no-store')
}

function nameOf (line: string): string {
  return line.slice(0, line.indexOf('=') + 1)
}

function linesOf (reply: FastifyReply): string[] {
  const present = reply.getHeader('set-cookie')
  return present === undefined ? [] : [present].flat().map(String)
}

function addLines (reply: FastifyReply, lines: readonly string[]): void {
  if (lines.length === 1) reply.header('set-cookie', lines[0])
  else if (lines.length > 1) reply.header('set-cookie', lines)
}
