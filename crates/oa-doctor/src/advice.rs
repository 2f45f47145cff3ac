//! Remedies in the words of the `oa` command: its flags, and the variables that it reads.

use oa_transport::Remedy;

/// What to try, for somebody at a shell.
pub fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::UseHttp => "use http:// in the URL, not https://",
        Remedy::TryHttp => "a server that speaks plain HTTP on this port may do this: try http:// in the URL",
        Remedy::UseHttps => "use https:// in the URL, not http://",
        Remedy::TryHttps => "a server that speaks TLS on this port may do this: try https:// in the URL",
        Remedy::UseHttp1Port => "name a port that speaks HTTP/1.1, or let this one speak it too",
        Remedy::RaiseConnectTimeout => "--connect-timeout raises the limit",
        Remedy::RaiseResponseLimit => "ask for less: no flag raises this limit",
        Remedy::AddRoot => {
            "give the authority's certificate, and the intermediate ones, by --ca-file or the variable \
             SSL_CERT_FILE"
        }
        Remedy::AddRootOrReissue => {
            "give that very certificate by --ca-file or SSL_CERT_FILE, or make one that is no authority's: \
             openssl req -x509 -addext basicConstraints=critical,CA:FALSE ..."
        }
        Remedy::LoadRoots => {
            "correct SSL_CERT_FILE or SSL_CERT_DIR, install the package ca-certificates, or give roots by \
             --ca-file"
        }
        Remedy::AddClientCertificate => {
            "client certificates are for programs: the command has no flag for one"
        }
        Remedy::CheckFirewall => "a firewall that rejects answers like this too",
        Remedy::CheckLocalPolicy => {
            "a policy of this machine forbids it: SELinux, seccomp, or a firewall's rule for outgoing \
             connections"
        }
        Remedy::CheckSocketPermissions => "the permissions of the socket do not let this user connect",
        Remedy::CorrectProxy => "correct the variable, or unset it",
        Remedy::AddProxyCredentials => {
            "put the proxy's user name and password into its URL, percent-encoded: \
             http://USER:PASSWORD@HOST:PORT"
        }
        other => other.as_str(),
    }
}
