//! The vendor's routes as requests: which URL, which method, which credential.
//!
//! Builds requests and sends nothing. A URL never takes its host from an answer: a paging link gives its cursor only, so
//! no answer can point a credential somewhere else.

use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::connector::UseAuth;
use http::{Method, Request, header};
use jiff::Timestamp;
use url::Url;

use super::{BOARD_URL, HARVEST_URL};

/// The scheme of submits.
pub(super) const BOARD: &str = "board";
/// The scheme of Harvest's reads.
pub(super) const HARVEST: &str = "harvest";

/// Records a page of Harvest holds. Its own default; ids in a filter are limited to 50.
const PER_PAGE: &str = "100";
/// The most ids a Harvest filter takes.
pub(super) const IDS_PER_CALL: usize = 50;

/// One account's view of the vendor.
pub(super) struct Routes {
    board: Url,
    harvest: Url,
}

/// A setting that cannot work, and why. Static: settings may be customers' secrets by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadSetting(pub(super) &'static str);

impl Routes {
    /// The routes of an account.
    pub(super) fn of(account: &Account) -> Result<Self, BadSetting> {
        let token = account.setting("board_token").ok_or(BadSetting("board_token is missing"))?;
        // The vendor has no public reads for the internal board, and without them nothing can be verified.
        if token == "internal" || token.starts_with('.') {
            return Err(BadSetting("board_token must name a public job board"));
        }
        let board = base(account.setting("board_url").unwrap_or(BOARD_URL), BadSetting("board_url is not a URL"))?;
        let harvest =
            base(account.setting("harvest_url").unwrap_or(HARVEST_URL), BadSetting("harvest_url is not a URL"))?;
        Ok(Self { board: below(&board, &["v1", "boards", token, "jobs"]), harvest })
    }

    /// `POST /v1/boards/{board_token}/jobs/{id}`
    pub(super) fn submit(&self, posting_id: &str, body: Vec<u8>) -> Request<Bytes> {
        let mut request = request(Method::POST, &below(&self.board, &[posting_id]), Some(BOARD));
        request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        *request.body_mut() = Bytes::from(body);
        request
    }

    /// `GET /v1/boards/{board_token}/jobs`, public
    pub(super) fn jobs(&self, content: bool) -> Request<Bytes> {
        let mut url = self.board.clone();
        if content {
            url.query_pairs_mut().append_pair("content", "true");
        }
        request(Method::GET, &url, None)
    }

    /// `GET /v1/boards/{board_token}/jobs/{id}`, public
    pub(super) fn job(&self, posting_id: &str, questions: bool) -> Request<Bytes> {
        let mut url = below(&self.board, &[posting_id]);
        if questions {
            url.query_pairs_mut().append_pair("questions", "true");
        }
        request(Method::GET, &url, None)
    }

    /// `GET /v3/applications` of one posting, created since then, and by then
    pub(super) fn applications(&self, posting_id: &str, since: Timestamp, until: Option<Timestamp>) -> Request<Bytes> {
        let until = until.map_or(String::new(), |until| format!("|lte|{until:.3}"));
        let mut url = below(&self.harvest, &["v3", "applications"]);
        url.query_pairs_mut()
            .append_pair("job_post_ids", posting_id)
            .append_pair("created_at", &format!("gte|{since:.3}{until}"))
            .append_pair("per_page", PER_PAGE);
        request(Method::GET, &url, Some(HARVEST))
    }

    /// `GET /v3/candidates` by id, at most [`IDS_PER_CALL`]
    pub(super) fn candidates(&self, ids: &[String]) -> Request<Bytes> {
        let mut url = below(&self.harvest, &["v3", "candidates"]);
        url.query_pairs_mut().append_pair("ids", &ids.join(",")).append_pair("per_page", PER_PAGE);
        request(Method::GET, &url, Some(HARVEST))
    }

    /// The next page of a Harvest list. The vendor refuses a cursor that does not travel alone.
    pub(super) fn next(&self, list: &'static str, cursor: &str) -> Request<Bytes> {
        let mut url = below(&self.harvest, &["v3", list]);
        url.query_pairs_mut().append_pair("cursor", cursor);
        request(Method::GET, &url, Some(HARVEST))
    }

    /// One record of a Harvest list: enough to learn whether the credential may read it.
    pub(super) fn probe(&self, list: &'static str) -> Request<Bytes> {
        let mut url = below(&self.harvest, &["v3", list]);
        url.query_pairs_mut().append_pair("per_page", "1");
        request(Method::GET, &url, Some(HARVEST))
    }
}

/// What follows a page of a Harvest list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// More, from this cursor on.
    Cursor(String),
    /// More, and it cannot be read from where on: what was shown is not all.
    Unreadable,
}

/// The cursor in `Link: <…?cursor=…>; rel="next"`.
pub(super) fn next(headers: &http::HeaderMap) -> Next {
    let is_next = |link: &&str| link.contains(r#"rel="next""#) || link.contains("rel=next");
    let mut links = headers.get_all(header::LINK).into_iter().map(|value| value.to_str().unwrap_or("rel=next"));
    let Some(link) = links.find_map(|value| value.split(',').find(is_next)) else { return Next::Nothing };
    let cursor = |link: &str| {
        let (target, _) = link.split_once('>')?;
        let url = Url::parse(target.trim().strip_prefix('<')?).ok()?;
        url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
    };
    cursor(link).map_or(Next::Unreadable, Next::Cursor)
}

fn base(text: &str, bad: BadSetting) -> Result<Url, BadSetting> {
    Url::parse(text).ok().filter(|url| !url.cannot_be_a_base() && url.has_host()).ok_or(bad)
}

/// The URL with these segments behind it, escaped.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn request(method: Method, url: &Url, auth: Option<&'static str>) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    // A `Url` is always a valid URI: same grammar, already escaped.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    if let Some(scheme) = auth {
        request.extensions_mut().insert(UseAuth(scheme));
    }
    request
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Next, next};

    #[test]
    fn a_link_header_gives_its_next_cursor_and_nothing_else() {
        let cursor = |cursor: &str| Next::Cursor(cursor.to_owned());
        for (link, expected) in [
            (r#"<https://harvest.greenhouse.io/v3/applications?cursor=abc%3D>; rel="next""#, cursor("abc=")),
            (
                r#"<https://h.example/v3/a?cursor=p>; rel="prev", <https://h.example/v3/a?cursor=n>; rel="next""#,
                cursor("n"),
            ),
            ("<https://h.example/v3/a?cursor=n>; rel=next", cursor("n")),
            (r#"<https://h.example/v3/a?cursor=p>; rel="prev""#, Next::Nothing),
            ("garbage", Next::Nothing),
            // More is there: what was shown is not all, and "not there" cannot be said.
            (r#"<https://h.example/v3/a?page=2>; rel="next""#, Next::Unreadable),
            (r#"</v3/a?cursor=n>; rel="next""#, Next::Unreadable),
            (r#"<https://h.example/v3/a?ids=1,2&cursor=n>; rel="next""#, Next::Unreadable),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("link", link.parse().unwrap());
            assert_eq!(next(&headers), expected, "{link}");
        }
        assert_eq!(next(&HeaderMap::new()), Next::Nothing);
    }
}
