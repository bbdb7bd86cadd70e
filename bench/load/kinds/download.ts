import { createHash } from 'node:crypto'
import { contentDigest } from '../content.js'
import { DEFAULT_SIZE, type Client } from '../load-options.js'
import { Lost } from '../tally.js'
import { exchanges } from './keep-alive.js'
import { requestHead } from './request-head.js'

/** Long answers that come in parts, each byte of them verified. */
export const download: Client = async (options, tally, signal) => {
  const { size = DEFAULT_SIZE, path = '/download' } = options
  const head = requestHead({ ...options, path: `${path}?size=${size}` })
  await exchanges(options, tally, signal, () => {
    const digest = createHash('sha256')
    return {
      head,
      onBody: bytes => { digest.update(bytes) },
      verify: () => { if (digest.digest('hex') !== contentDigest(size)) throw new Lost('corrupt') },
    }
  })
}
