/**
 * The value of a cookie in a Cookie header (RFC 6265 4.2.1), as it stands there. Of several with the same name it is the
 * first: that of the longest path.
 * @param start the name, and `=`
 * @example cookieIn('theme=dark; session=abc', 'session=') // 'abc'
 */
export function cookieIn (header: string, start: string): string | undefined {
  for (let at = header.indexOf(start); at !== -1; at = header.indexOf(start, at + 1)) {
    if (!isFirstOfPair(header, at)) continue
    const end = header.indexOf(';', at)
    return header.slice(at + start.length, end === -1 ? undefined : end)
  }
  return undefined
}

function isFirstOfPair (header: string, at: number): boolean {
  let before = at - 1
  while (header[before] === ' ' || header[before] === '\t') before--
  return before === -1 || header[before] === ';'
}
