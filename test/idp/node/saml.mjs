// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Serves samlp, a SAML 2.0 identity provider. Its one argument is a file of JSON: as of
// ../dex, and signingCertificate and signingKey, the assertion consumer service acs of the
// service provider, and spCertificate and spPublicKey, to which assertions are encrypted
// where they are there.
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import samlp from 'samlp'

const config = JSON.parse(readFileSync(process.argv[2]))
const cert = readFileSync(config.signingCertificate)
const key = readFileSync(config.signingKey)

const escape = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`)
const page = (status, res, html) => res.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(html)

function ProfileMapper (person) {
  return {
    getClaims: () => ({ email: person.email, groups: person.groups }),
    getNameIdentifier: () => ({ nameIdentifier: person.email, nameIdentifierFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress' })
  }
}
ProfileMapper.prototype.metadata = []

const metadata = samlp.metadata({ issuer: config.issuer, cert, profileMapper: ProfileMapper, redirectEndpointPath: '/sso', postEndpointPath: '/sso' })

function answer (req, res) {
  const encryption = config.spCertificate && existsSync(config.spCertificate)
    ? { encryptionCert: readFileSync(config.spCertificate), encryptionPublicKey: readFileSync(config.spPublicKey) }
    : {}
  samlp.auth({
    ...encryption,
    issuer: config.issuer,
    cert,
    key,
    destination: config.acs,
    recipient: config.acs,
    getPostURL: (audience, request, _, callback) => callback(null, config.acs),
    profileMapper: ProfileMapper,
    responseHandler: response => page(200, res, `<form method="post" action="${escape(config.acs)}">
      <input type="hidden" name="SAMLResponse" value="${response.toString('base64')}">
      <input type="hidden" name="RelayState" value="${escape(req.query.RelayState ?? '')}"><button>Go on</button></form>`)
  })(req, res, error => page(400, res, escape(error?.message ?? 'refused')))
}

createServer({ cert: readFileSync(config.certificate), key: readFileSync(config.key) }, (req, res) => {
  const url = new URL(req.url, config.issuer)
  req.query = Object.fromEntries(url.searchParams)
  req.originalUrl = req.url
  req.protocol = 'https'
  res.set = (...header) => res.setHeader(...header)
  res.send = body => res.end(body)
  if (url.pathname === '/metadata') return metadata(req, res)
  if (url.pathname !== '/sso') return page(404, res, 'nothing is here')
  if (req.method === 'GET') {
    return page(200, res, `<form method="post" action="${escape(req.url)}"><input name="login"><input name="password" type="password"><button>Log in</button></form>`)
  }
  let body = ''
  req.on('data', part => { body += part }).on('end', () => {
    const form = new URLSearchParams(body)
    const person = config.people.find(p => p.email === form.get('login') && p.password === form.get('password'))
    if (!person) return page(403, res, 'no such person')
    req.method = 'GET'
    req.user = person
    answer(req, res)
  })
}).listen(Number(config.listen.split(':')[1]), config.listen.split(':')[0])
