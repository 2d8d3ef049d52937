//! Changes as they travel from their origin to the DC.

use cib::{Operation, Options, Request, Version};

use super::Change;
use crate::codec::{CodecError, Reader, Wire, Writer};
use crate::replication::delta::{read_node, write_node};

struct Flags(Options);

impl Wire for Flags {
    fn write(&self, w: &mut Writer) {
        let o = self.0;
        for flag in [
            o.allow_create,
            o.no_children,
            o.node_path,
            o.multiple,
            o.dry_run,
            o.mixed_update,
            o.replicated,
            o.skip_validation,
        ] {
            w.bool(flag);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self(Options {
            allow_create: r.bool()?,
            no_children: r.bool()?,
            node_path: r.bool()?,
            multiple: r.bool()?,
            dry_run: r.bool()?,
            mixed_update: r.bool()?,
            replicated: r.bool()?,
            skip_validation: r.bool()?,
        }))
    }
}

impl Wire for Change {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Cib(request) => {
                let op = Operation::ALL.iter().position(|o| *o == request.op).unwrap_or(0);
                w.u8(0).count(op).put(&request.section).put(&request.xpath);
                w.bool(request.input.is_some());
                if let Some(input) = &request.input {
                    write_node(w, input);
                }
                w.put(&Flags(request.options));
                w.put(&request.if_version.map(|v| [v.admin_epoch, v.epoch, v.num_updates].to_vec()));
                w.put(&request.stamp.as_ref().map(|s| {
                    let four = [&s.written, &s.origin, &s.client, &s.user];
                    four.into_iter().chain(&s.groups).cloned().collect::<Vec<String>>()
                }));
            }
            Self::AddNode { name, votes } => {
                w.u8(1).text(name).u32(*votes);
            }
            Self::RemoveNode { name } => {
                w.u8(2).text(name);
            }
            Self::DismissConflict { tip } => {
                w.u8(3).put(tip);
            }
            Self::Conflict(conflict) => {
                w.u8(4).put(conflict);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match r.u8()? {
            0 => {
                let op = usize::try_from(r.u32()?).map_err(|_| CodecError::Bound)?;
                let op = *Operation::ALL.get(op).ok_or(CodecError::Bound)?;
                let mut request = Request::new(op);
                request.section = r.get()?;
                request.xpath = r.get()?;
                request.input = if r.bool()? { Some(read_node(r)?) } else { None };
                request.options = r.get::<Flags>()?.0;
                request.if_version = match r.get::<Option<Vec<u64>>>()?.as_deref() {
                    None => None,
                    Some([a, e, n]) => Some(Version::new(*a, *e, *n)),
                    Some(_) => return Err(CodecError::Bound),
                };
                request.stamp = match r.get::<Option<Vec<String>>>()?.as_deref() {
                    None => None,
                    Some([written, origin, client, user, groups @ ..]) => Some(cib::Stamp {
                        written: written.clone(),
                        origin: origin.clone(),
                        client: client.clone(),
                        user: user.clone(),
                        groups: groups.to_vec(),
                    }),
                    Some(_) => return Err(CodecError::Bound),
                };
                Self::Cib(request)
            }
            1 => Self::AddNode { name: r.get()?, votes: r.u32()? },
            2 => Self::RemoveNode { name: r.get()? },
            3 => Self::DismissConflict { tip: r.get()? },
            4 => Self::Conflict(r.get()?),
            other => return Err(CodecError::Kind(other)),
        })
    }
}
