//! One connection to PostgreSQL, used by one thread, which waits for each statement.
//!
//! The driver is asynchronous; here the connection's task and the statement that waits for it run on a small runtime of the
//! thread's own, so a statement costs one write and one read of the socket and no switch between threads. Statements are
//! prepared once per connection, or, behind a pooler that hands out another connection with every transaction, never.
//! Every wait has a deadline, and a connection that missed one is not used again. It decides nothing about transactions:
//! `writer` and `readers` do.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::maybe_done;
use tokio::runtime::Runtime;
use tokio_postgres::error::Severity;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket, Statement};

use super::array::Table;
use super::errors::{Then, cannot_connect, classify};
use super::later::{Kept, Later, Wrong};
use super::text::{Use, translate};
use super::value::{Parameter, Stored};
use crate::store::sql::conn::{Changes, Many, More, Params, Value};
use crate::store::sql::errors::{Op, Stop};
use crate::store::{Result, StoreError};

/// A connection, and what is prepared on it.
pub(crate) struct Session {
    // Dropped first: it ends the connection's task.
    runtime: Option<Runtime>,
    client: Arc<Client>,
    use_: Use,
    pooler: bool,
    deadline: Cell<Duration>,
    texts: RefCell<HashMap<(usize, usize), Known>>,
    /// The worst since the transaction began.
    trouble: Cell<Option<Then>>,
    /// The server warned of something since this was last looked at.
    warned: Arc<AtomicBool>,
    later: RefCell<Later>,
    gathered: RefCell<Vec<Gathered>>,
}

/// Rows that one statement is to write.
struct Gathered {
    many: &'static Many,
    rows: Table,
    count: u64,
}

/// A text that was run before.
#[derive(Clone)]
struct Known {
    text: Arc<str>,
    statement: Option<Statement>,
}

/// Rows of an answer that is read some at a time.
const FETCH: &str = "FETCH 200 FROM causeway_rows";

/// A parameter that is an array, and its type.
pub(super) type Array<'a> = (&'a (dyn ToSql + Sync), Type);

/// A row of an answer.
pub(crate) struct Row(tokio_postgres::Row);

/// How a session is made.
pub(super) struct Opening<'a, T> {
    pub(super) config: &'a Config,
    pub(super) tls: T,
    pub(super) pooler: bool,
    pub(super) use_: Use,
    pub(super) deadline: Duration,
}

impl Session {
    /// Connects. Must not be called on a thread that drives asynchronous tasks.
    pub(super) fn open<T>(opening: Opening<'_, T>) -> Result<Self>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let Opening { config, tls, pooler, use_, deadline } = opening;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| StoreError::Unavailable("no file descriptor is left"))?;
        let warned = Arc::new(AtomicBool::new(false));
        let connected = runtime.block_on(async { tokio::time::timeout(deadline, config.connect(tls)).await });
        let (client, mut connection) = match connected {
            Ok(Ok(parts)) => parts,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(cannot_connect(&error));
            }
            Err(_) => {
                runtime.shutdown_background();
                return Err(StoreError::Unavailable("the database does not answer"));
            }
        };
        let theirs = Arc::clone(&warned);
        // Owned by the runtime, which ends with the session.
        drop(runtime.spawn(std::future::poll_fn(move |context| {
            loop {
                match connection.poll_message(context) {
                    Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                        // What it is called depends on the server's language.
                        if notice.parsed_severity() == Some(Severity::Warning) {
                            theirs.store(true, Ordering::Relaxed);
                        }
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })));
        Ok(Self {
            runtime: Some(runtime),
            client: Arc::new(client),
            use_,
            pooler,
            deadline: Cell::new(deadline),
            texts: RefCell::default(),
            trouble: Cell::new(None),
            warned,
            later: RefCell::default(),
            gathered: RefCell::default(),
        })
    }

    /// How long a statement may take from here on.
    pub(super) fn set_deadline(&self, deadline: Duration) {
        self.deadline.set(deadline);
    }

    /// What went wrong since this was asked last.
    pub(super) fn take_trouble(&self) -> Option<Then> {
        self.trouble.take()
    }

    /// Something went wrong, and nothing was rolled back since.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.get().is_some()
    }

    /// Whether the server warned since this was asked last.
    pub(super) fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::Relaxed)
    }

    /// Whether another transaction can begin on it.
    pub(super) fn is_usable(&self) -> bool {
        self.trouble.get() != Some(Then::Reconnect) && !self.client.is_closed()
    }

    /// Every row of the answer.
    pub(crate) fn query(&self, sql: &'static str, params: Params<'_>) -> Op<Vec<Row>> {
        self.write_gathered()?;
        let values: Vec<Parameter<'_>> = params.iter().map(|bind| Parameter(bind.value())).collect();
        let known = self.known(sql, values.iter().map(Parameter::declared))?;
        let rows = match &known.statement {
            Some(statement) => {
                let params: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                self.wait(self.client.query(statement, &params))?
            }
            None => self.wait(self.client.query_typed(&known.text, &typed(&values)))?,
        };
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Rows of an answer, some at a time, until `read` has enough. Planned for the first rows: through an index where there
    /// is one, however many there are.
    pub(crate) fn stream(
        &self,
        sql: &'static str,
        params: Params<'_>,
        mut read: impl FnMut(&Row) -> Op<More>,
    ) -> Op<()> {
        self.write_gathered()?;
        let values: Vec<Parameter<'_>> = params.iter().map(|bind| Parameter(bind.value())).collect();
        let text = format!("DECLARE causeway_rows NO SCROLL CURSOR FOR {}", translate(sql, self.use_));
        self.wait(self.client.execute_typed(&text, &typed(&values)))?;
        loop {
            let rows = self.wait(self.client.query_typed(FETCH, &[]))?;
            let mut more = !rows.is_empty();
            for row in rows {
                if more && read(&Row(row))? == More::No {
                    more = false;
                }
            }
            if !more {
                return self.batch("CLOSE causeway_rows");
            }
        }
    }

    /// How many rows it changed.
    pub(crate) fn execute(&self, sql: &'static str, params: Params<'_>) -> Op<usize> {
        self.write_gathered()?;
        let values: Vec<Parameter<'_>> = params.iter().map(|bind| Parameter(bind.value())).collect();
        let known = self.known(sql, values.iter().map(Parameter::declared))?;
        let changed = match &known.statement {
            Some(statement) => {
                let params: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                self.wait(self.client.execute(statement, &params))?
            }
            None => self.wait(self.client.execute_typed(&known.text, &typed(&values)))?,
        };
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Sends a statement and waits for nothing: what it came to is known when the next one is waited for, or all is settled.
    pub(crate) fn execute_later(&self, sql: &'static str, params: Params<'_>, changes: Changes) -> Op<()> {
        self.write_gathered()?;
        let kept = params.iter().map(|bind| (Kept::of(bind.value()), Parameter(bind.value()).declared()));
        self.send(sql, kept.collect(), (changes == Changes::One).then_some(1))
    }

    /// A row for the statement that will write it with others of its kind.
    pub(crate) fn gather(&self, many: &'static Many, row: Params<'_>) {
        let mut gathered = self.gathered.borrow_mut();
        let at = gathered.iter().position(|of| std::ptr::eq(of.many, many)).unwrap_or_else(|| {
            gathered.push(Gathered { many, rows: Table::new(many.columns), count: 0 });
            gathered.len() - 1
        });
        if let Some(of) = gathered.get_mut(at) {
            of.rows.push(row);
            of.count += 1;
        }
    }

    /// Sends what was gathered.
    fn write_gathered(&self) -> Op<()> {
        for Gathered { many, rows, count } in self.gathered.take() {
            self.write_later(many.all, rows, (many.changes == Changes::One).then_some(count))?;
        }
        Ok(())
    }

    /// [`Session::execute_later`] with arrays.
    pub(super) fn write_later(&self, sql: &'static str, rows: Table, changes: Option<u64>) -> Op<()> {
        let columns = rows.0.into_iter().map(|column| {
            let declared = column.declared();
            (column, declared)
        });
        self.send(sql, columns.collect(), changes)
    }

    fn send<P: ToSql + Sync + Send + 'static>(
        &self,
        sql: &'static str,
        params: Vec<(P, Type)>,
        changes: Option<u64>,
    ) -> Op<()> {
        let known = self.known(sql, params.iter().map(|(_, declared)| declared.clone()))?;
        let client = Arc::clone(&self.client);
        self.later.borrow_mut().send(
            async move {
                match &known.statement {
                    Some(statement) => {
                        client
                            .execute_raw(statement, params.iter().map(|(value, _)| value as &(dyn ToSql + Sync)))
                            .await
                    }
                    None => {
                        let params: Vec<_> = params
                            .iter()
                            .map(|(value, declared)| (value as &(dyn ToSql + Sync), declared.clone()))
                            .collect();
                        client.execute_typed(&known.text, &params).await
                    }
                }
            },
            changes,
        );
        Ok(())
    }

    /// [`Session::batch`], sent and not waited for.
    pub(super) fn batch_later(&self, sql: String) {
        let client = Arc::clone(&self.client);
        let sent = async move { client.batch_execute(&sql).await.map(|()| 0) };
        self.later.borrow_mut().send(sent, None);
    }

    /// Waits for what was sent and not waited for.
    pub(super) fn settle(&self) -> Op<()> {
        self.write_gathered()?;
        if self.later.borrow().is_empty() { Ok(()) } else { self.wait(std::future::ready(Ok(()))) }
    }

    /// Undoes what was done, whatever became of it.
    pub(super) fn roll_back(&self, sql: &str) -> Op<()> {
        self.gathered.take();
        self.later.borrow_mut().forget();
        self.batch(sql)
    }

    /// [`Session::query`] with arrays.
    pub(super) fn query_arrays(&self, sql: &'static str, params: &[Array<'_>]) -> Op<Vec<Row>> {
        self.write_gathered()?;
        let known = self.known(sql, params.iter().map(|(_, declared)| declared.clone()))?;
        let rows = match &known.statement {
            Some(statement) => {
                let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
                self.wait(self.client.query(statement, &params))?
            }
            None => self.wait(self.client.query_typed(&known.text, params))?,
        };
        Ok(rows.into_iter().map(Row).collect())
    }

    /// [`Session::query_arrays`] for each, sent together: the server runs one after the other, and each sees what those
    /// before it did and waited for.
    pub(super) fn query_together(&self, asked: &[(&'static str, Vec<Array<'_>>)]) -> Op<Vec<Vec<Row>>> {
        self.write_gathered()?;
        let mut known = Vec::with_capacity(asked.len());
        for (sql, params) in asked {
            known.push(self.known(sql, params.iter().map(|(_, declared)| declared.clone()))?);
        }
        let answers = asked.iter().zip(&known).map(|((_, params), known)| async move {
            match &known.statement {
                Some(statement) => {
                    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
                    self.client.query(statement, &params).await
                }
                None => self.client.query_typed(&known.text, params).await,
            }
        });
        let answers = self.wait(in_order(answers))?;
        Ok(answers.into_iter().map(|rows| rows.into_iter().map(Row).collect()).collect())
    }

    /// [`Session::query`] with one array of ids.
    pub(crate) fn query_ids(&self, sql: &'static str, ids: &[[u8; 16]]) -> Op<Vec<Row>> {
        let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
        self.query_arrays(sql, &[(&ids, Type::BYTEA_ARRAY)])
    }

    /// Runs texts that are answered with nothing and take no parameters, in one round trip.
    pub(crate) fn batch(&self, sql: &str) -> Op<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// The first column of the first row, as text: for the server's settings.
    pub(super) fn text(&self, sql: &str) -> Op<Option<String>> {
        let rows = self.wait(self.client.simple_query(sql))?;
        Ok(rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// The text as it is run, and prepared where that lasts.
    fn known(&self, sql: &'static str, types: impl Iterator<Item = Type>) -> Op<Known> {
        let key = (sql.as_ptr() as usize, sql.len());
        if let Some(known) = self.texts.borrow().get(&key) {
            return Ok(known.clone());
        }
        let text: Arc<str> = translate(sql, self.use_).into();
        let statement = if self.pooler {
            None
        } else {
            let types: Vec<Type> = types.collect();
            Some(self.wait(self.client.prepare_typed(&text, &types))?)
        };
        let known = Known { text, statement };
        self.texts.borrow_mut().insert(key, known.clone());
        Ok(known)
    }

    /// Waits, at most until the deadline.
    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Op<T> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Unavailable("the connection to the database has ended").into());
        };
        if self.trouble.get() == Some(Then::Reconnect) {
            return Err(Stop::Batch(StoreError::Unavailable("the connection to the database was lost")));
        }
        let before = self.later.take();
        match runtime.block_on(async { tokio::time::timeout(self.deadline.get(), before.then(work)).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Wrong::Failed(error))) => {
                let (stop, then) = classify(&error);
                self.note(then);
                Err(stop)
            }
            Ok(Err(Wrong::Number)) => {
                // Also where a verb goes on all the same.
                self.note(Then::RollBack);
                Err(StoreError::Fenced.into())
            }
            Err(_) => {
                self.note(Then::Reconnect);
                Err(Stop::Batch(StoreError::Unavailable("the database does not answer")))
            }
        }
    }

    fn note(&self, then: Then) {
        self.trouble.set(self.trouble.get().max(Some(then)));
    }
}

/// All of them, sent in their order before the first is waited for: the driver sends when it is asked first.
async fn in_order<T>(work: impl Iterator<Item = impl Future<Output = Result<T, Error>>>) -> Result<Vec<T>, Error> {
    let mut work: Vec<_> = work.map(|one| Box::pin(maybe_done(one))).collect();
    let send = |context: &mut Context<'_>| {
        for one in &mut work {
            // Its answer is taken below.
            let _sent: Poll<()> = one.as_mut().poll(context);
        }
        Poll::Ready(())
    };
    std::future::poll_fn(send).await;
    let mut answers = Vec::with_capacity(work.len());
    for mut one in work {
        one.as_mut().await;
        answers.extend(one.as_mut().take_output().transpose()?);
    }
    Ok(answers)
}

fn typed<'a>(values: &'a [Parameter<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.declared())).collect()
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Row {
    /// A column by its name.
    pub(crate) fn value(&self, name: &str) -> Op<Value<'_>> {
        self.0.try_get::<_, Stored<'_>>(name).map(|stored| stored.0).map_err(|error| classify(&error).0)
    }

    /// The first column.
    pub(crate) fn first(&self) -> Op<Value<'_>> {
        self.0.try_get::<_, Stored<'_>>(0).map(|stored| stored.0).map_err(|error| classify(&error).0)
    }
}
