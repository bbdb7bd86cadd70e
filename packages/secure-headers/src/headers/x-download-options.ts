import { fixedValue } from './fixed-value.js'

/**
 * Kept Internet Explorer 8 from opening a download in the site's context. Off unless asked for.
 * https://learn.microsoft.com/archive/blogs/ie/ie8-security-part-v-comprehensive-protection
 */
export const xDownloadOptions = fixedValue('x-download-options', ['noopen'], false)
