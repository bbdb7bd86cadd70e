import http from 'node:http'
import https from 'node:https'
import { OcspError } from './response.js'

const maxLength = 65_536

/** Posts an OCSPRequest (RFC 6960 appendix A.1). Rejects with `OcspError`. */
export function fetchOcsp (url: string, request: Buffer, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => { reject(new OcspError(reason)) }
    if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return fail(`its responder has no HTTP address (${url.slice(0, 80)})`)
    const client = url.toLowerCase().startsWith('https:') ? https : http
    // A connection of its own that does not keep the process alive longer than its one answer.
    const sent = client.request(url, {
      method: 'POST',
      agent: false,
      signal: AbortSignal.timeout(timeout),
      headers: { 'Content-Type': 'application/ocsp-request', 'Content-Length': request.length, Accept: 'application/ocsp-response' },
    }, response => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > maxLength) sent.destroy(new Error('too large'))
        else chunks.push(chunk)
      })
      response.on('error', error => fail(error.message))
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks))
        else fail(`the responder answered ${response.statusCode}`)
      })
    })
    sent.on('socket', socket => socket.unref())
    sent.on('error', error => fail(error.name === 'AbortError' || error.name === 'TimeoutError' ? `the responder did not answer within ${timeout} ms` : error.message))
    sent.end(request)
  })
}
